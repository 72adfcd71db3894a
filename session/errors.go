package session

import (
	"errors"
	"fmt"
)

// Code is what went wrong, for programs. Codes are stable (docs/gateway.md,
// "error").
type Code string

// The codes of version 1.
const (
	CodeBadMessage    Code = "bad_message"
	CodeUnknownOp     Code = "unknown_op"
	CodeBadSeq        Code = "bad_seq"
	CodeChannelName   Code = "channel_name"
	CodeBadData       Code = "bad_data"
	CodeTooLarge      Code = "too_large"
	CodeTooMany       Code = "too_many"
	CodeHelloExpected Code = "hello_expected"
	CodeHelloTimeout  Code = "hello_timeout"
	CodePassword      Code = "password"
	CodeRoomFull      Code = "room_full"
	CodeTooManyErrors Code = "too_many_errors"
	CodeBadTransfer   Code = "bad_transfer"
	CodeNoTransfer    Code = "unknown_transfer"
	CodeBadOffset     Code = "bad_offset"
	CodeRule          Code = "rule"
	CodeToken         Code = "token"
	CodeTokenExpired  Code = "token_expired"
	CodeForbidden     Code = "forbidden"
	CodeBadNode       Code = "bad_node"
	CodeNoNode        Code = "unknown_node"
	CodeChanged       Code = "changed"
	CodeNoGraph       Code = "no_graph"
	CodeGraphFull     Code = "graph_full"
	CodeStorage       Code = "storage"
)

// codes are all of them; a code's place is its counter's.
var codes = [...]Code{
	CodeBadMessage, CodeUnknownOp, CodeBadSeq, CodeChannelName, CodeBadData, CodeTooLarge,
	CodeTooMany, CodeHelloExpected, CodeHelloTimeout, CodePassword, CodeRoomFull, CodeTooManyErrors,
	CodeBadTransfer, CodeNoTransfer, CodeBadOffset, CodeRule,
	CodeToken, CodeTokenExpired, CodeForbidden,
	CodeBadNode, CodeNoNode, CodeChanged, CodeNoGraph, CodeGraphFull, CodeStorage,
}

// Error is a fault of the client, as it is told to it.
type Error struct {
	Code Code
	Text string // for people
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Text }

func fault(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// asFault makes any error one that is told to the client under code.
func asFault(code Code, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: code, Text: err.Error()}
}
