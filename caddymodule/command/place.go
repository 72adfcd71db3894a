package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/client"
)

const (
	// connectTime is how long the first connection may take. Later the client
	// tries for as long as the command runs.
	connectTime = 30 * time.Second
	// leaveTime is how long the goodbye may take.
	leaveTime = 5 * time.Second
)

// place is a room of a server, and what opens it.
type place struct {
	server, room    string
	password, token string
}

func (p *place) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&p.server, "server", "s", "", "where the directive genosrtc is served: http(s) or ws(s), with its path (default http://localhost:8080/genosrtc)")
	f.StringVarP(&p.room, "room", "r", "", "the database name that the app passes to gdb(name) (default demo)")
	f.StringVar(&p.password, "password", "", "the room's password; better in GENOSRTC_PASSWORD")
	f.StringVar(&p.token, "token", "", "a token that opens the room; better in GENOSRTC_TOKEN")
}

// complete takes from the environment what the command line does not say. It is
// not the flags' default, for the help shows those.
func (p *place) complete() {
	p.server = cmp.Or(p.server, os.Getenv("GENOSRTC_SERVER"), "http://localhost:8080/genosrtc")
	p.room = cmp.Or(p.room, os.Getenv("GENOSRTC_ROOM"), "demo")
	p.password = cmp.Or(p.password, os.Getenv("GENOSRTC_PASSWORD"))
	p.token = cmp.Or(p.token, os.Getenv("GENOSRTC_TOKEN"))
}

// dial opens a session in the room, or resumes that of o.State.
func (p *place) dial(ctx context.Context, o client.Options) (*client.Room, error) {
	o.Password = p.password
	if p.token != "" {
		o.Token = client.StaticToken(p.token)
	}
	within, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	room, err := client.Dial(within, p.server, p.room, o)
	switch {
	case err == nil:
		return room, nil
	case ctx.Err() != nil:
		return nil, errInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("no connection to %s within %v: is the server running, and the address right (--server)?", p.server, connectTime)
	}
	return nil, p.explain(err)
}

// explain says of an error that ended a session, or kept it from being opened,
// what to do about it.
func (p *place) explain(err error) error {
	refused, ok := errors.AsType[*client.RefusedError](err)
	if !ok {
		return err
	}
	switch {
	case refused.Status == 404:
		return fmt.Errorf("%s has no room %q: check --server and --room", p.server, p.room)
	case refused.Status == 401, refused.Code == "token", refused.Code == "token_expired":
		return fmt.Errorf("room %q wants credentials: a token in GENOSRTC_TOKEN (see `caddy genosrtc token -h`) or the password in GENOSRTC_PASSWORD: %w", p.room, err)
	case refused.Code == "password":
		return fmt.Errorf("room %q wants its password: set GENOSRTC_PASSWORD: %w", p.room, err)
	case refused.Close == 4000:
		return errors.New("the same command was started again and took over")
	}
	return err
}

// leave says goodbye in the room, within a time.
func leave(room *client.Room) error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	return room.Leave(ctx)
}

// drain takes the room's messages that nobody wants, until the room ends. They
// would hold up all else otherwise.
func drain(room *client.Room) {
	for {
		if _, err := room.Receive(context.Background()); err != nil {
			return
		}
	}
}
