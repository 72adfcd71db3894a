package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

func exportCommand() *cobra.Command {
	s, screen := &storage{}, standardError()
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Prints the graph of a room, as JSON lines",
		Long: `
Prints all that a stopped server keeps of a room's graph (memory), an entry a
line: "id", "value", "edges", "timestamp", and "removed" for the nodes that are
gone, of which browsers that come back still have to hear. import takes it as it
is. The order is that of the ids.

It runs while no server uses the folder, and as the user that the server runs
as.`,
		Example: `  sudo -u caddy caddy genosrtc export --room my-app > my-app.jsonl
  caddy genosrtc export --storage /srv/genosrtc | jq -r 'select(.removed | not).id'`,
		Args: cobra.NoArgs,
	}
	s.flags(cmd)
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		if err := s.open(false); err != nil {
			return err
		}
		n, err := export(ctx, s, cmd.OutOrStdout(), screen)
		if err := errors.Join(err, s.close()); err != nil {
			return err
		}
		screen.say("%d entries of room %q", n, s.room)
		return nil
	})
	return cmd
}

func export(ctx context.Context, s *storage, to io.Writer, screen *screen) (int, error) {
	out := bufio.NewWriter(to)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	count := counter{screen: screen, what: "entries"}
	var failed error
	err := s.graph.Scan("", func(e graph.Entry) bool {
		if ctx.Err() != nil {
			failed = errInterrupted
		} else if err := lines.Encode(lineOf(e)); err != nil {
			failed = fmt.Errorf("write node %q: %w", e.ID, err)
		}
		count.add()
		return failed == nil
	})
	return count.n, errors.Join(err, failed, out.Flush())
}
