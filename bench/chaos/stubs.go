package main

import (
	"context"
	"errors"
)

func away(context.Context, options) error { return errors.New("not yet") }
func slow(context.Context, options) error { return errors.New("not yet") }
