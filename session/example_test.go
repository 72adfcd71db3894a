package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/session"
)

func init() {
	// A kind of message of one's own: {"op":"shout","id":1,"channel":…,"data":…}
	// says something to the room in capitals, and answers with what was said.
	session.Register("shout", func(ctx context.Context, seat *engine.Attachment, m session.Message, reply func(session.Message)) error {
		if m.Content.Kind != engine.Text || m.Content.Data == nil {
			return errors.New("shout: data must be a string")
		}
		loud := engine.Content{Kind: engine.Text, Data: []byte(strings.ToUpper(string(m.Content.Data)))}
		if err := seat.Send(ctx, engine.Outgoing{Channel: m.Channel, Content: loud, To: m.To}); err != nil {
			return err
		}
		reply(session.Message{ID: m.ID, Content: loud})
		return nil
	})
}

func ExampleRegister() {
	net := memnet.New().Endpoint("server")
	node := engine.New(engine.Config{Signaling: net, Transport: net, Logger: slog.New(slog.DiscardHandler)})
	defer node.Close(context.Background())
	room, err := node.Open(engine.RoomConfig{Name: "demo"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &conn{in: make(chan string), out: make(chan string), closed: make(chan struct{})}
	go session.Serve(context.Background(), client, session.Config{Room: room, Codec: session.JSON})

	client.in <- `{"op":"hello"}`
	<-client.out // welcome
	client.in <- `{"op":"shout","id":1,"channel":"chat","data":"anybody there?"}`
	fmt.Println(<-client.out)
	client.in <- `{"op":"shout","id":2,"channel":"chat","data":5}`
	fmt.Println(<-client.out)
	client.in <- `{"op":"leave"}`
	<-client.closed

	// Output:
	// {"op":"shout","id":1,"data":"ANYBODY THERE?"}
	// {"op":"error","code":"bad_message","message":"shout: data must be a string","id":2}
}

// conn is a session.Conn in memory.
type conn struct {
	in, out chan string
	closed  chan struct{}
}

func (c *conn) Read() ([]byte, bool, error) {
	select {
	case m := <-c.in:
		return []byte(m), false, nil
	case <-c.closed:
		return nil, false, errors.New("closed")
	}
}

func (c *conn) Write(messages [][]byte, _ bool, deadline time.Time) error {
	for _, m := range messages {
		select {
		case c.out <- string(m):
		case <-time.After(time.Until(deadline)):
			return os.ErrDeadlineExceeded
		}
	}
	return nil
}

func (c *conn) Close(int, string) { close(c.closed) }
