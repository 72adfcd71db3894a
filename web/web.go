// Package web holds the JavaScript client of the session protocol
// (docs/gateway.md), built and ready to be served. Its sources are in src/;
// build.sh builds them, and nothing here needs Node.
package web

import _ "embed"

// ClientJS is the client, an ES module without imports: text/javascript, UTF-8.
// A page loads it as {path}/client.js; it finds the server by where it came from.
//
//go:embed dist/client.js
var ClientJS []byte

// ClientTypes are the TypeScript declarations that belong to ClientJS. An
// editor looks for them beside it, as client.d.ts.
//
//go:embed dist/client.d.ts
var ClientTypes []byte
