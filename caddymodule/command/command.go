// Package command is `caddy genosrtc …`: a chat, transfers, tokens, measurements,
// backups and the operation of a server from a terminal. The commands that join a room do so as anybody can, with
// package client over the session protocol.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "genosrtc",
		Short:     "Takes part in GenosRTC rooms from a terminal",
		CobraFunc: build,
	})
}

// Exit codes beside 0 and 1, which says that the command failed.
const (
	exitMissed      = 2   // some of the recipients that were named do not have it
	exitInterrupted = 130 // by SIGINT or SIGTERM, before all was done
)

func build(cmd *cobra.Command) {
	cmd.Use = "genosrtc"
	cmd.Long = `
The commands join a room of a GenosRTC server as a peer of their own, which the
browsers and other clients there see join and leave. Without --server and --room
they use those of caddy/Caddyfile.example. export and import are for a server's
files instead, while it is stopped; status, why, kick and drain speak to the admin
endpoint of the Caddy that runs it.

Server, room, password and token are also taken from the environment:
GENOSRTC_SERVER, GENOSRTC_ROOM, GENOSRTC_PASSWORD and GENOSRTC_TOKEN. Give
secrets in this way: what stands in a command line, others on the machine can
see.

Exit codes: 0 all was done; 1 it failed; 2 some of the recipients that were
named do not have it; 130 interrupted (SIGINT, SIGTERM) before all was done.`
	cmd.AddCommand(joinCommand(), sendCommand(), recvCommand(), peersCommand(), benchCommand(), tokenCommand(),
		exportCommand(), importCommand(), statusCommand(), whyCommand(), kickCommand(), drainCommand())
	for _, c := range append(cmd.Commands(), cmd) {
		c.Long = strings.TrimSpace(c.Long)
	}
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// errInterrupted says that the user had enough before the command had done all.
var errInterrupted = &exitError{exitInterrupted, errors.New("interrupted")}

// action makes a function the action of a command. Its context ends with the
// first SIGINT or SIGTERM; the second kills the process.
func action(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop)
		err := f(ctx, args)
		exit, ok := errors.AsType[*exitError](err)
		if !ok {
			return err // cobra prints it
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "Error:", printable(err.Error()))
		cmd.SilenceErrors = true
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return exit.code, nil })(cmd, args)
	}
}
