package command

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"sync"

	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// settleTime is how long browsers have to link with a new session before it
// tells who is there: they take less than half a second each.
const settleTime = 2 * time.Second

func peersCommand() *cobra.Command {
	w := watcher{screen: standardError()}
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "Lists who is in a room, and watches who comes and goes",
		Long: `
Joins a room for two seconds, in which browsers link with it, and prints who is
there: a peer's id and its kind, as it declares it. "superpeer" is the server
itself, "session" a client of it. With --watch it stays and prints who comes and
goes. With --json each line is a JSON object.`,
		Example: `  caddy genosrtc peers
  caddy genosrtc peers --watch
  caddy genosrtc peers --json | jq -r 'select(.type == "session").peer'`,
		Args: cobra.NoArgs,
		RunE: action(w.run),
	}
	w.at.flags(cmd)
	cmd.Flags().BoolVar(&w.watch, "watch", false, "stay, and print who comes and goes")
	cmd.Flags().BoolVar(&w.json, "json", false, "print JSON objects")
	return cmd
}

// watcher is a run of the command peers.
type watcher struct {
	at          place
	screen      *screen
	watch, json bool
}

func (w *watcher) run(ctx context.Context, _ []string) error {
	w.at.complete()
	events := make(chan client.PeerEvent, 1024)
	room, err := w.at.dial(ctx, client.Options{Notify: func(e client.Event) {
		if p, ok := e.(client.PeerEvent); !ok {
			w.screen.connection(e)
		} else if p.Event == "join" || p.Event == "leave" {
			select {
			case events <- p:
			default: // a terminal that is stopped; the list at the start was right
			}
		}
	}})
	if err != nil {
		return err
	}
	var messages sync.WaitGroup
	messages.Go(func() { drain(room) })
	defer messages.Wait()
	defer room.Close()
	settled := time.After(settleTime)
	for listed := false; ; {
		select {
		case <-settled:
			listed = true
			peers := room.Peers()
			slices.SortFunc(peers, func(a, b client.Peer) int { return cmp.Compare(a.ID, b.ID) })
			for _, p := range peers {
				w.print(client.PeerEvent{Peer: p})
			}
			if !w.watch {
				return leave(room)
			}
		case p := <-events:
			if listed {
				w.print(p)
			}
		case <-room.Done():
			return w.at.explain(room.Err())
		case <-ctx.Done():
			if err := leave(room); err != nil || w.watch && listed {
				return err
			}
			return errInterrupted
		}
	}
}

// print prints a peer that is there, or with an event one that came or went.
func (w *watcher) print(e client.PeerEvent) {
	switch {
	case w.json:
		json.NewEncoder(os.Stdout).Encode(struct {
			Event string    `json:"event,omitempty"`
			Peer  string    `json:"peer"`
			Type  string    `json:"type"`
			At    time.Time `json:"at"`
		}{e.Event, e.ID, kindOf(e.Peer), time.Now()})
	case e.Event == "":
		fmt.Println(printable(e.ID + "  " + kindOf(e.Peer)))
	default:
		fmt.Println(time.Now().Format(time.TimeOnly), printable(peerEventText(e)))
	}
}

// kindOf is what a peer is. A browser says nothing.
func kindOf(p client.Peer) string { return cmp.Or(p.Type, "browser") }

func peerEventText(e client.PeerEvent) string {
	if e.Event == "leave" {
		return e.ID + " left"
	}
	return fmt.Sprintf("%s joined (%s)", e.ID, kindOf(e.Peer))
}

// peersText says how many peers there are.
func peersText(peers []client.Peer) string {
	others := len(peers)
	if slices.ContainsFunc(peers, func(p client.Peer) bool { return p.Type == "superpeer" }) {
		others-- // the server itself
	}
	if others == 1 {
		return "1 other"
	}
	return fmt.Sprintf("%d others", others)
}
