package command

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// maxLine is the longest line that join takes: more is for send.
const maxLine = 1 << 20

func joinCommand() *cobra.Command {
	c := chat{screen: standardError(), in: os.Stdin, out: os.Stdout}
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Joins a room: sends the lines typed, prints what others send",
		Long: `
Joins a room. Each line of standard input is sent on a channel; messages are
printed on standard output, and who comes and goes on standard error. It ends
with the input, when the server has all lines, or with Ctrl-C.

--as says what a line is: chat sends {"text": line, "name": …}, as the demo page
does; text sends a string; json sends the line's JSON value, and prints messages
as JSON too, one on a line with "from", "channel" and "data".`,
		Example: `  caddy genosrtc join --name Ada
  echo "the build is done" | caddy genosrtc join --name CI
  caddy genosrtc join --as json --channel telemetry --history 10`,
		Args: cobra.NoArgs,
		RunE: action(c.run),
	}
	c.at.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.channel, "channel", "chat", "the channel")
	f.StringSliceVar(&c.to, "to", nil, "the peer ids of those who get the lines, with commas between them (default all)")
	f.StringVar(&c.name, "name", "", "your name, for --as chat")
	f.StringVar(&c.as, "as", "chat", "what a line is: chat, text or json")
	f.IntVar(&c.history, "history", 0, "how many recent messages to show first, at most 1000")
	return cmd
}

// chat is a run of the command join.
type chat struct {
	at       place
	screen   *screen
	in       io.Reader
	out      io.Writer
	channel  string
	to       []string
	name, as string
	history  int

	mu      sync.Mutex
	refused int
}

func (c *chat) run(ctx context.Context, _ []string) error {
	c.at.complete()
	if c.as != "chat" && c.as != "text" && c.as != "json" {
		return fmt.Errorf("--as %s: there are chat, text and json", c.as)
	}
	room, err := c.at.dial(ctx, client.Options{Notify: c.notify, History: c.history})
	if err != nil {
		return err
	}
	c.screen.say("in room %q as %s, with %s", c.at.room, room.Peer(), peersText(room.Peers()))
	var messages sync.WaitGroup
	messages.Go(func() { c.print(room) })
	defer messages.Wait()
	defer room.Close()
	if err := c.send(ctx, room); err != nil {
		return err
	}
	err = leave(room)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.refused > 0 {
		err = fmt.Errorf("%d of the lines were refused", c.refused)
	}
	return err
}

// send sends lines until there are no more, or ctx ends.
func (c *chat) send(ctx context.Context, room *client.Room) error {
	lines, failed := make(chan string), make(chan error, 1)
	go func() { // ends with its input, or the process
		defer close(lines)
		scan := bufio.NewScanner(c.in)
		scan.Buffer(nil, maxLine)
		for scan.Scan() {
			select {
			case lines <- scan.Text():
			case <-ctx.Done():
				return
			case <-room.Done():
				return
			}
		}
		failed <- scan.Err()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-room.Done():
			return c.at.explain(room.Err())
		case line, ok := <-lines:
			if !ok {
				select {
				case err := <-failed:
					if errors.Is(err, bufio.ErrTooLong) {
						return fmt.Errorf("a line is longer than %s: use send", bytesText(maxLine))
					}
					if err != nil {
						return fmt.Errorf("read standard input: %w", err)
					}
					return c.wait(ctx, room)
				case <-ctx.Done():
					return nil
				}
			}
			if err := c.line(ctx, room, line); err != nil {
				return err
			}
		}
	}
}

// wait waits until the server has what was sent.
func (c *chat) wait(ctx context.Context, room *client.Room) error {
	state, err := room.State()
	if err != nil {
		return err
	}
	if err := room.Wait(ctx, state.Next-1); err != nil {
		if ctx.Err() != nil {
			return errInterrupted
		}
		return c.at.explain(err)
	}
	return nil
}

func (c *chat) line(ctx context.Context, room *client.Room, line string) error {
	var value any
	switch {
	case strings.TrimSpace(line) == "":
		return nil
	case c.as == "json":
		if !json.Valid([]byte(line)) {
			c.screen.say("not sent, this is no JSON: %s", line)
			c.mu.Lock()
			c.refused++
			c.mu.Unlock()
			return nil
		}
		value = json.RawMessage(line)
	case c.as == "text":
		value = line
	default:
		said := map[string]any{"text": line, "at": time.Now().UnixMilli()}
		if c.name != "" {
			said["name"] = c.name
		}
		value = said
	}
	var options []client.SendOption
	if len(c.to) > 0 {
		options = append(options, client.To(c.to...))
	}
	_, err := room.Send(ctx, c.channel, value, options...)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	return err
}

// print prints messages until the room ends.
func (c *chat) print(room *client.Room) {
	for {
		m, err := room.Receive(context.Background())
		if err != nil {
			return
		}
		if m.Channel != c.channel {
			continue
		}
		if c.as == "json" {
			c.printJSON(m)
		} else {
			fmt.Fprintln(c.out, printable(said(m)))
		}
	}
}

func (c *chat) printJSON(m client.Message) {
	text, err := json.Marshal(struct {
		From    string `json:"from"`
		Channel string `json:"channel"`
		Data    any    `json:"data"` // bytes in base64
		Meta    any    `json:"meta,omitempty"`
	}{m.From, m.Channel, m.Data, m.Meta})
	if err != nil {
		c.screen.say("a message of %s cannot be printed: %v", m.From, err)
		return
	}
	fmt.Fprintf(c.out, "%s\n", text)
}

// said is a message as a line of a chat.
func said(m client.Message) string {
	who, text := m.From, ""
	switch v := m.Data.(type) {
	case string:
		text = v
	case []byte:
		text = fmt.Sprintf("(%s of bytes)", bytesText(int64(len(v))))
	case map[string]any:
		if t, ok := v["text"].(string); ok {
			name, _ := v["name"].(string)
			who, text = cmp.Or(name, who), t
		}
	}
	if text == "" {
		raw, err := json.Marshal(m.Data)
		if err != nil {
			raw = []byte("(a value that is no JSON)")
		}
		text = string(raw)
	}
	return who + ": " + text
}

func (c *chat) notify(e client.Event) {
	switch e := e.(type) {
	case client.PeerEvent:
		if e.Event == "join" || e.Event == "leave" {
			c.screen.say("%s", peerEventText(e))
		}
	case client.Result:
		c.screen.say("a line did not reach %s: %s", e.Peer, cmp.Or(e.Message, e.Error))
	case client.Refused:
		c.mu.Lock()
		c.refused++
		c.mu.Unlock()
		c.screen.say("refused: %s: %s", e.Code, e.Text)
	default:
		c.screen.connection(e)
	}
}
