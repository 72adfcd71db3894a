package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func whyCommand() *cobra.Command {
	var a admin
	var room string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "why <peer>",
		Short: "Tells why a browser has no link with the server",
		Long: `
Tells how far the server and a remote peer have come with each other, what went
wrong last, and what to do about it. GET /genosrtc/rooms/{room}
of the admin API lists the ids of those that were heard.`,
		Example: `  caddy genosrtc why --room my-app Hq3…`,
		Args:    cobra.ExactArgs(1),
		RunE: action(func(_ context.Context, args []string) error {
			return a.why(room, args[0], asJSON)
		}),
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&room, "room", "", "the room")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("room") // the flag is there
	return cmd
}

func (a *admin) why(room, peer string, asJSON bool) error {
	var raw json.RawMessage
	if err := a.do(http.MethodGet, "/rooms/"+url.PathEscape(room)+"/why?peer="+url.QueryEscape(peer), nil, &raw); err != nil {
		return err
	}
	if asJSON {
		fmt.Println(string(raw))
		return nil
	}
	var known map[string]any
	if err := json.Unmarshal(raw, &known); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, key := range []string{"seen", "type", "offered", "dialed", "relay", "candidates", "answered", "sealed", "opened", "ended", "stage", "reason", "relays_down", "cause"} {
		if value, ok := known[key]; ok {
			fmt.Fprintf(t, "%s\t%s\n", key, printable(fmt.Sprint(value)))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Println(printable(fmt.Sprint(known["advice"])))
	return nil
}
