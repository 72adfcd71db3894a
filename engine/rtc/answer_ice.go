package rtc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// What a client's candidates can be refused for.
var (
	ErrCandidate         = errors.New("it is no candidate")
	ErrTooManyCandidates = fmt.Errorf("more than %d candidates", maxCandidates)
)

// AddCandidate adds an address of the client (RFC 8839, section 5.1), with or without
// "candidate:" before it. One that cannot be used, such as one with a host name, is dropped.
// It fails with ErrCandidate or ErrTooManyCandidates.
func (g *Guest) AddCandidate(line string) error {
	if err := checkCandidate(line); err != nil {
		return err
	}
	g.mu.Lock()
	g.candidates++
	tooMany := g.candidates > maxCandidates
	g.mu.Unlock()
	switch {
	case tooMany:
		return ErrTooManyCandidates
	case hasName(line):
		return nil
	}
	if err := g.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: line}); err != nil {
		g.transport.log.Debug("a candidate was dropped", "error", err)
	}
	return nil
}

func checkCandidate(line string) error {
	if hasName(line) {
		return nil
	}
	_, err := ice.UnmarshalCandidate(strings.TrimPrefix(line, "candidate:"))
	switch {
	case err == nil, errors.Is(err, ice.ErrUnknownCandidateTyp), errors.Is(err, ice.ErrDetermineNetworkType):
		return nil
	}
	return fmt.Errorf("%w: %w", ErrCandidate, err)
}

// hasName tells whether a candidate has a host name for its address, which is left
// out (RFC 8839, section 5.1): names are not resolved here.
func hasName(line string) bool {
	parts := strings.Fields(strings.TrimPrefix(line, "candidate:"))
	if len(parts) < 8 || parts[6] != "typ" {
		return false
	}
	_, err := netip.ParseAddr(parts[4])
	return err != nil
}

// tidy is an offer without what would keep the rest of it from being taken: candidates
// that have names, and simulcast (RFC 8853), without which one encoding is sent.
func tidy(offer string) string {
	var kept strings.Builder
	for line := range strings.Lines(offer) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		switch {
		case name == "a=rid", name == "a=simulcast", name == "a=candidate" && hasName(value):
		default:
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// Credentials are those that the client has in its ICE session (RFC 8839, section
// 5.4): the last that it was given an answer to.
func (g *Guest) Credentials() (ufrag, pwd string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ufrag, g.pwd
}

// agree notes the client's credentials of an ICE session that has an answer.
func (g *Guest) agree(ufrag, pwd string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ufrag, g.pwd, g.candidates = ufrag, pwd, 0
}

// attribute is the first value of an attribute in a description.
func attribute(sdp, name string) string {
	for line := range strings.Lines(sdp) {
		if value, ok := strings.CutPrefix(line, "a="+name+":"); ok {
			return strings.TrimRight(value, "\r\n")
		}
	}
	return ""
}

// Restart begins a new ICE session (RFC 8445, section 9), with the client's new
// credentials and addresses. What is sent meanwhile goes on after it. It returns a
// description that has ours. It fails with ErrCandidate or ErrTooManyCandidates
// before anything has changed.
func (g *Guest) Restart(ctx context.Context, ufrag, pwd string, candidates []string) (string, error) {
	if len(candidates) > maxCandidates {
		return "", ErrTooManyCandidates
	}
	for _, line := range candidates {
		if err := checkCandidate(line); err != nil {
			return "", err
		}
	}
	if err := g.negotiate(ctx); err != nil {
		return "", err
	}
	defer g.negotiated()
	answer, err := g.answer(ctx, restarted(g.pc.RemoteDescription().SDP, ufrag, pwd))
	if err != nil {
		return "", fmt.Errorf("restart ICE: %w", err)
	}
	g.agree(ufrag, pwd)
	for _, line := range candidates {
		if err := g.AddCandidate(line); err != nil {
			return "", err
		}
	}
	return answer, nil
}

// restarted is a client's description as an offer with other credentials, and
// without addresses.
func restarted(sdp, ufrag, pwd string) string {
	var offer strings.Builder
	for line := range strings.Lines(sdp) {
		name, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		switch name {
		case "a=ice-ufrag":
			line = name + ":" + ufrag + "\r\n"
		case "a=ice-pwd":
			line = name + ":" + pwd + "\r\n"
		case "a=setup": // of an answer, if we have made an offer since
			line = name + ":actpass\r\n"
		case "a=candidate", "a=end-of-candidates":
			continue
		}
		offer.WriteString(line)
	}
	return offer.String()
}

// negotiate waits until nobody else exchanges descriptions, until negotiated.
func (g *Guest) negotiate(ctx context.Context) error {
	select {
	case g.negotiating <- struct{}{}:
		return nil
	case <-g.Done():
		return errRemote
	case <-ctx.Done():
		return fmt.Errorf("wait for a negotiation: %w", ctx.Err())
	}
}

func (g *Guest) negotiated() { <-g.negotiating }
