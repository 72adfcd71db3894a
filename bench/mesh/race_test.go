//go:build race

package main

// The race detector makes all of it some ten times slower.
const testPeers = 100
