//go:build !libsecp256k1

package main

const signatures = "btcec (pure Go)"
