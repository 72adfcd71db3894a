package main

import (
	"context"
	"errors"
)

const childArg = "child"

func child([]string) error                { return errors.New("not yet") }
func bulk(context.Context, options) error { return errors.New("not yet") }
func away(context.Context, options) error { return errors.New("not yet") }
func slow(context.Context, options) error { return errors.New("not yet") }
