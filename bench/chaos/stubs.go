package main

import (
	"context"
	"errors"
)

func slow(context.Context, options) error { return errors.New("not yet") }
