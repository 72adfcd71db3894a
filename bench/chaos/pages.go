package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// pages are browser pages in the rooms, which another process opens
// (integration/long/chaos.test.js): it is told "open {relay}" on standard
// output, and answers with a line on standard input, the ids of the pages by
// room; later "collect", and it answers with what the pages got on the channel
// "all": by id, [[session, number], ...].
type pages struct {
	in  *bufio.Reader
	ids map[string]bool
	of  map[string]string // the room of a page
}

func openPages(wanted bool, s *server) (*pages, error) {
	p := &pages{ids: map[string]bool{}, of: map[string]string{}}
	if !wanted {
		return p, nil
	}
	p.in = bufio.NewReaderSize(os.Stdin, 1<<20)
	fmt.Printf("open %d\n", s.port)
	var rooms map[string][]string
	if err := p.read(&rooms); err != nil {
		return nil, err
	}
	for room, ids := range rooms {
		for _, id := range ids {
			p.ids[id], p.of[id] = true, room
		}
	}
	return p, nil
}

func (p *pages) read(v any) error {
	line, err := p.in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		return fmt.Errorf("the pages: %w", err)
	}
	return nil
}

// report says what the pages missed, and whether the senders were told. A page
// may miss what is sent while it is no peer of the sender, and what its sender
// is told of. All else is a fault, as are messages that are doubled or out of
// order.
func (p *pages) report(all []*member) error {
	if p.in == nil {
		return nil
	}
	fmt.Println("collect")
	var logs map[string][][2]int
	if err := p.read(&logs); err != nil {
		return err
	}
	faults := 0
	for id, log := range logs {
		got := map[int]map[int]bool{}
		last := map[int]int{}
		doubled, disordered := 0, 0
		for _, m := range log {
			if got[m[0]] == nil {
				got[m[0]] = map[int]bool{}
			}
			switch {
			case got[m[0]][m[1]]:
				doubled++
			case m[1] < last[m[0]]:
				disordered++
			}
			got[m[0]][m[1]] = true
			last[m[0]] = max(last[m[0]], m[1])
		}
		sent, missed, reported, linked := 0, 0, 0, 0
		for _, m := range all {
			if m.group.name != p.of[id] {
				continue
			}
			for seq, n := range m.said {
				sent++
				switch {
				case got[m.number][n]:
				case m.results[id][seq]:
					missed++
					reported++
				default:
					missed++
					if m.linked[id][seq] {
						linked++
					}
				}
			}
		}
		fmt.Printf("page %s in %s: %d sent to all, %d missed; of these %d reported to the sender, %d sent while the page was no peer of the sender, %d neither; %d doubled, %d out of order\n",
			id, p.of[id], sent, missed, reported, missed-reported-linked, linked, doubled, disordered)
		faults += doubled + disordered + linked
	}
	if faults > 0 {
		return fmt.Errorf("%d messages came to pages twice or out of order, or not at all and nobody was told", faults)
	}
	return nil
}
