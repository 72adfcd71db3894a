package main

import (
	"bytes"
)

// withOtherSignature copies the frame of an EVENT message and changes a digit of
// the signature, which keeps its form.
func withOtherSignature(frame []byte) []byte {
	forged := bytes.Clone(frame)
	sig := []byte(`"sig":"`)
	digit := &forged[bytes.LastIndex(forged, sig)+len(sig)]
	if *digit == '0' {
		*digit = '1'
	} else {
		*digit = '0'
	}
	return forged
}
