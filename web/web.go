// Package web holds the JavaScript client of the session protocol and the monitor
// page (docs/gateway.md), built and ready to be served. Its sources are in src/;
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

// MonitorHTML is the monitor page: a html/template that needs Rooms, the names to choose
// from, and Cookies. It loads MonitorJS as monitor.js, and MonitorCSS as monitor.css.
//
//go:embed src/monitor/monitor.html
var MonitorHTML string

// MonitorJS is the page's script, an ES module without imports.
//
//go:embed dist/monitor.js
var MonitorJS []byte

// MonitorCSS is the page's style sheet.
//
//go:embed dist/monitor.css
var MonitorCSS []byte
