//go:build libsecp256k1

package main

const signatures = "libsecp256k1"
