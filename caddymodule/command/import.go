package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
	"github.com/genosrtc/caddy-genosrtc/internal/genossrv"
)

const (
	// maxEntryLine is the longest line that import takes.
	maxEntryLine = 64 << 20
	// importAhead is how many bytes may wait for the disk.
	importAhead = 4 << 20
)

func importCommand() *cobra.Command {
	m := merger{screen: standardError()}
	cmd := &cobra.Command{
		Use:   "import [<file|->]",
		Short: "Adds to the graph of a room what export printed, or what GenosSRV has",
		Long: `
Merges entries into the graph that a stopped server keeps of a room (memory):
of each node the newer one stays, by timestamp. So it can be repeated, and adds
to what is there. The entries are JSON lines as export prints them; or, with
--genossrv, those of the data.sqlite of GenosDB's own fallback server, for which
the program sqlite3 must be installed. A graph that GenosSRV encrypted with a
password cannot be read.

It runs while no server uses the folder, and as the user that the server runs
as.`,
		Example: `  sudo -u caddy caddy genosrtc import --room my-app my-app.jsonl
  zcat my-app.jsonl.gz | caddy genosrtc import --storage /srv/genosrtc --room my-app -
  caddy genosrtc import --room myAppDB --genossrv data.sqlite`,
		Args: cobra.MaximumNArgs(1),
		RunE: action(m.run),
	}
	m.at.flags(cmd)
	cmd.Flags().StringVar(&m.genossrv, "genossrv", "", "the data file of GenosDB's fallback server")
	return cmd
}

// merger is a run of the command import.
type merger struct {
	at       storage
	screen   *screen
	genossrv string

	replica       *graph.Replica
	count         counter
	changed, left int // entries
}

func (m *merger) run(ctx context.Context, args []string) error {
	if (len(args) == 0) == (m.genossrv == "") {
		return errors.New("name a file with lines of JSON, - for standard input, or a file of GenosSRV with --genossrv")
	}
	var in io.ReadCloser = os.Stdin
	if len(args) == 1 && args[0] != "-" {
		var err error
		if in, err = os.Open(args[0]); err != nil {
			return err
		}
		defer in.Close()
	}
	if err := m.at.open(true); err != nil {
		return err
	}
	m.replica = graph.NewReplica(m.at.graph, m.at.graph.Last())
	m.count = counter{screen: m.screen, what: "entries"}
	var err error
	if m.genossrv != "" {
		err = m.fromGenosSRV(ctx)
	} else {
		err = m.fromLines(ctx, in)
	}
	err = errors.Join(err, m.save(ctx))
	stats := m.at.graph.Stats()
	err = errors.Join(err, m.at.close())
	if ctx.Err() != nil {
		err = errInterrupted
	}
	m.screen.say("%d entries changed room %q, %d were not newer than what it had; it has %d nodes now", m.changed, m.at.room, m.left, stats.Nodes)
	return err
}

func (m *merger) fromLines(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxEntryLine)
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		e, err := parseEntry(lines.Bytes())
		if err == nil {
			err = m.add(ctx, e)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

func (m *merger) fromGenosSRV(ctx context.Context) error {
	s, bad, err := genossrv.Read(ctx, m.genossrv, m.at.room)
	if err != nil {
		return err
	}
	if bad > 0 {
		m.screen.say("%d nodes of it are not what they should be, and are left out", bad)
	}
	for _, e := range s.Nodes {
		if err := m.add(ctx, e); err != nil {
			return err
		}
	}
	for _, op := range s.Removals {
		if err := m.add(ctx, graph.Entry{ID: op.ID, Removed: true, Timestamp: op.Timestamp, Extra: op.Extra}); err != nil {
			return err
		}
	}
	return nil
}

// add merges an entry.
func (m *merger) add(ctx context.Context, e graph.Entry) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	before := m.at.graph.Staged()
	var err error
	if e.Removed {
		_, err = m.replica.Apply(graph.Op{Kind: graph.Remove, ID: e.ID, Timestamp: e.Timestamp, Extra: e.Extra}, time.Now(), false)
	} else {
		_, err = m.replica.Merge(&graph.FullState{Nodes: []graph.Entry{e}}, time.Now())
	}
	if err != nil {
		return err
	}
	if m.at.graph.Staged() == before {
		m.left++
	} else {
		m.changed++
	}
	m.count.add()
	if m.at.graph.Stats().Staged > importAhead {
		return m.save(ctx)
	}
	return nil
}

// save has all that was merged be on the disk.
func (m *merger) save(ctx context.Context) error {
	m.at.graph.SetLast(m.replica.Last())
	err := m.at.graph.Wait(context.WithoutCancel(ctx), m.at.graph.Staged())
	if errors.Is(err, store.ErrFull) {
		err = fmt.Errorf("make room and run this again; what is there already stays: %w", err)
	}
	return err
}
