package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// admin is where the commands for operators find Caddy's admin endpoint.
type admin struct{ address, config, adapter string }

func (a *admin) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.address, "address", "", "address of Caddy's admin endpoint (default: as the configuration has it, else localhost:2019)")
	f.StringVar(&a.config, "config", "", "configuration file to take the address from")
	f.StringVar(&a.adapter, "adapter", "", "of which kind that is")
}

// do asks the admin API (docs/operations.md) and decodes the answer.
func (a *admin) do(method, path string, request, answer any) error {
	address, err := caddycmd.DetermineAdminAPIAddress(a.address, nil, a.config, a.adapter)
	if err != nil {
		return err
	}
	var body io.Reader
	if request != nil {
		raw, err := json.Marshal(request)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	res, err := caddycmd.AdminAPIRequest(address, method, "/genosrtc"+path, nil, body)
	if err != nil {
		return fmt.Errorf("ask Caddy's admin endpoint %s: %w", address, err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", address, err)
	}
	return nil
}

// status is what the commands show of /genosrtc/status.
type status struct {
	Draining                                 bool
	Trouble                                  []string
	Rooms, Sessions, Waiting, Remotes, Links int
	Relays                                   []struct {
		URL, State string
		Since      time.Time
		LastError  string `json:"last_error"`
	}
}

func statusCommand() *cobra.Command {
	var a admin
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tells how a server is doing",
		Long: `
Asks Caddy's admin endpoint for the rooms, sessions and relays of the server. The
exit code is 1 if there is trouble, or nobody answers. With --json it prints the
documents of the admin API: status, rooms and sessions.`,
		Example: `  caddy genosrtc status
  caddy genosrtc status --json | jq '.sessions[] | select(.state == "waiting")'`,
		Args: cobra.NoArgs,
		RunE: action(func(context.Context, []string) error { return a.status(asJSON) }),
	}
	a.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *admin) status(asJSON bool) error {
	if asJSON {
		var all struct {
			Status   json.RawMessage `json:"status"`
			Rooms    json.RawMessage `json:"rooms"`
			Sessions json.RawMessage `json:"sessions"`
		}
		for path, into := range map[string]any{"/status": &all.Status, "/rooms": &all.Rooms, "/sessions": &all.Sessions} {
			if err := a.do(http.MethodGet, path, nil, into); err != nil {
				return err
			}
		}
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	var s status
	var rooms []struct {
		Room                              string
		Sessions, Waiting, Remotes, Links int
	}
	if err := a.do(http.MethodGet, "/status", nil, &s); err != nil {
		return err
	}
	if err := a.do(http.MethodGet, "/rooms", nil, &rooms); err != nil {
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ROOM\tSESSIONS\tWAITING\tPEERS\tLINKS")
	for _, r := range rooms {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", printable(r.Room), r.Sessions, r.Waiting, r.Remotes, r.Links)
	}
	fmt.Fprintln(t, "\nRELAY\tSTATE\tSINCE\tLAST ERROR")
	for _, r := range s.Relays {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(r.URL), r.State, r.Since.Local().Format(time.DateTime), printable(r.LastError))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, trouble := range s.Trouble {
		fmt.Println("\n" + printable(trouble))
	}
	if len(s.Trouble) > 0 {
		return fmt.Errorf("the server is not ready")
	}
	return nil
}

func kickCommand() *cobra.Command {
	var a admin
	var room string
	var out time.Duration
	cmd := &cobra.Command{
		Use:   "kick <peer>",
		Short: "Ends a session, or keeps a browser out for a while",
		Long: `
Ends the session of a peer id for good. If a browser has it, its links with the
server end and it is not heard for a while; its links with other browsers are not
the server's to end, and it may come back under another id.`,
		Example: `  caddy genosrtc kick --room my-app 3f1c…
  caddy genosrtc kick --room my-app --for 1h 3f1c…`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(_ context.Context, args []string) error {
			return a.do(http.MethodPost, "/rooms/"+url.PathEscape(room)+"/kick", map[string]string{"peer": args[0], "for": out.String()}, new(any))
		}),
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&room, "room", "", "the room")
	cmd.Flags().DurationVar(&out, "for", 10*time.Minute, "how long a browser is kept out")
	_ = cmd.MarkFlagRequired("room") // the flag is there
	return cmd
}

func drainCommand() *cobra.Command {
	var a admin
	var over time.Duration
	var wait, undo bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Sends clients to other servers, before this one is stopped",
		Long: `
New sessions are refused with 503, and those that are open end with 1012, spread
evenly over a time, so that not all of them come to another server at once. The
rooms, their links with browsers and the relay go on until the server is stopped.`,
		Example: `  caddy genosrtc drain --over 1m --wait && systemctl stop caddy
  caddy genosrtc drain --undo`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			if undo {
				return a.do(http.MethodPost, "/undrain", nil, new(status))
			}
			if err := a.do(http.MethodPost, "/drain", map[string]string{"over": over.String()}, new(status)); err != nil || !wait {
				return err
			}
			return a.drained(ctx)
		}),
	}
	a.flags(cmd)
	cmd.Flags().DurationVar(&over, "over", 30*time.Second, "the time over which sessions end")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until all have ended")
	cmd.Flags().BoolVar(&undo, "undo", false, "take new sessions again")
	cmd.MarkFlagsMutuallyExclusive("undo", "wait")
	cmd.MarkFlagsMutuallyExclusive("undo", "over")
	return cmd
}

// drained waits until no session is left.
func (a *admin) drained(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		var s status
		switch err := a.do(http.MethodGet, "/status", nil, &s); {
		case err != nil:
			return err
		case s.Sessions == 0:
			return nil
		case !s.Draining:
			return fmt.Errorf("somebody has ended the drain: %d sessions are left", s.Sessions)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errInterrupted
		}
	}
}
