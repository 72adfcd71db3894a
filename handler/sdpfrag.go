package handler

import (
	"errors"
	"fmt"
	"strings"
)

// fragment is what a client trickles, or restarts ICE with: a part of a session
// description (RFC 8840, section 9).
type fragment struct {
	ufrag, pwd string   // "" where there is none
	candidates []string // "candidate:…"
}

// parseFragment reads a fragment. What it does not know it leaves out. All sections
// share one transport, as in a bundle.
func parseFragment(text string) (fragment, error) {
	var f fragment
	if strings.TrimSpace(text) == "" {
		return f, errors.New("the fragment is empty")
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' || !printable(line) {
			return f, fmt.Errorf("line %d of the fragment is not of the form a=value", n)
		}
		if line[0] != 'a' {
			continue
		}
		name, value, _ := strings.Cut(line[2:], ":")
		var err error
		switch name {
		case "ice-ufrag":
			err = credential(&f.ufrag, value, 4)
		case "ice-pwd":
			err = credential(&f.pwd, value, 22)
		case "candidate":
			f.candidates = append(f.candidates, line[2:])
		}
		if err != nil {
			return f, fmt.Errorf("line %d of the fragment: %s %w", n, name, err)
		}
	}
	return f, nil
}

// credential notes an ICE credential (RFC 8839, section 5.4), which is the same in
// each section.
func credential(to *string, value string, least int) error {
	switch {
	case len(value) < least || len(value) > 256 || strings.Contains(value, " "):
		return fmt.Errorf("must have %d to 256 characters", least)
	case *to != "" && *to != value:
		return errors.New("is another one than before: the sections must share a transport")
	}
	*to = value
	return nil
}

// fragmentOf is the part of an answer that a client needs to restart ICE: of its
// first section, which has the transport of all. The end of the candidates is behind
// them: pion puts it before those that were found while it wrote the answer.
func fragmentOf(answer string) string {
	var f strings.Builder
	sections, end := 0, ""
	for line := range strings.Lines(answer) {
		line = strings.TrimRight(line, "\r\n")
		name, _, _ := strings.Cut(line, ":")
		if strings.HasPrefix(line, "m=") {
			sections++
			name = "m="
		}
		if sections > 1 {
			break
		}
		if name == "a=candidate" && strings.Contains(line, " 2 udp ") {
			continue // of RTCP, which has no path of its own (RFC 5761)
		}
		switch name {
		case "a=group", "a=ice-lite", "a=ice-options", "a=ice-pacing", "m=", "a=mid", "a=ice-ufrag", "a=ice-pwd", "a=candidate":
			f.WriteString(line + "\r\n")
		case "a=end-of-candidates":
			end = line + "\r\n"
		}
	}
	return f.String() + end
}
