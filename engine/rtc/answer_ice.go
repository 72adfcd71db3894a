package rtc

import (
	"context"
	"errors"
	"fmt"
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
// "candidate:" before it. One that cannot be used, such as a name of mDNS, is dropped.
// It fails with ErrCandidate or ErrTooManyCandidates.
func (g *Guest) AddCandidate(line string) error {
	if err := checkCandidate(line); err != nil {
		return err
	}
	g.mu.Lock()
	g.candidates++
	tooMany := g.candidates > maxCandidates
	g.mu.Unlock()
	if tooMany {
		return ErrTooManyCandidates
	}
	if err := g.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: line}); err != nil {
		g.transport.log.Debug("a candidate was dropped", "error", err)
	}
	return nil
}

func checkCandidate(line string) error {
	_, err := ice.UnmarshalCandidate(strings.TrimPrefix(line, "candidate:"))
	switch {
	case err == nil, errors.Is(err, ice.ErrUnknownCandidateTyp), errors.Is(err, ice.ErrDetermineNetworkType):
		return nil
	}
	return fmt.Errorf("%w: %w", ErrCandidate, err)
}

// Credentials are those that the client has in its ICE session (RFC 8839, section 5.4).
func (g *Guest) Credentials() (ufrag, pwd string) {
	sdp := g.pc.RemoteDescription().SDP
	return attribute(sdp, "ice-ufrag"), attribute(sdp, "ice-pwd")
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
	g.mu.Lock()
	g.candidates = 0
	g.mu.Unlock()
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
