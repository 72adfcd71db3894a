//go:build !race

package main

const testPeers = 1_000
