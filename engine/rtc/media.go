package rtc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// media is what a link sends beside frames. It belongs to whom the link's
// descriptions do, one at a time.
type media struct {
	streams map[*engine.Stream][]*sending
	fresh   []*engine.Stream // not in an answer yet
	// free are our media sections that nothing is sent in any more. Sections cannot
	// be taken out of a description, so that they are used again.
	free []*webrtc.RTPTransceiver
	mids int
	// offer is the one under way. pion is given it with its answer, as it cannot
	// take it back.
	offer *webrtc.SessionDescription
}

// sending is a track that a link sends.
type sending struct {
	forward     *Forward
	transceiver *webrtc.RTPTransceiver
	sender      *webrtc.RTPSender
}

var _ engine.MediaLink = (*link)(nil)

// Describe implements engine.MediaLink.
func (l *link) Describe(_ context.Context, streams []*engine.Stream) (string, error) {
	m := &l.media
	wanted := make(map[*engine.Stream]bool, len(streams))
	for _, s := range streams {
		wanted[s] = true
	}
	for s := range m.streams {
		if !wanted[s] {
			l.unsend(s)
		}
	}
	for _, s := range streams {
		if err := l.send(s); err != nil {
			l.unsend(s)
			m.fresh = nil
			return "", fmt.Errorf("describe a stream: %w", err)
		}
	}
	offer, err := l.pc.CreateOffer(nil)
	if err != nil {
		return "", fmt.Errorf("offer media: %w", err)
	}
	m.offer = &offer
	return sendOnly(offer.SDP), nil
}

// send adds the tracks of a stream that is not sent yet.
func (l *link) send(s *engine.Stream) error {
	m := &l.media
	if _, ok := m.streams[s]; ok {
		return nil
	}
	if m.streams == nil {
		m.streams = make(map[*engine.Stream][]*sending)
	}
	m.streams[s], m.fresh = nil, append(m.fresh, s)
	for _, t := range s.Tracks() {
		f, ok := t.(*Forward)
		if !ok {
			return fmt.Errorf("a track of %T", t)
		}
		tr, err := l.section(f.local)
		if err != nil {
			return err
		}
		sent := &sending{forward: f, transceiver: tr, sender: tr.Sender()}
		m.streams[s] = append(m.streams[s], sent)
		if !l.owns(sent.reports) {
			return net.ErrClosed
		}
	}
	return nil
}

// owns runs f in a goroutine, unless the link has ended. f ends with the link.
func (l *link) owns(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.transport.wg.Go(f)
	}
	return !l.ended
}

// section finds or makes a media section for a track. Ours have names that no
// browser gives to its own: an offer of ours may cross one of its.
func (l *link) section(t webrtc.TrackLocal) (*webrtc.RTPTransceiver, error) {
	m := &l.media
	for i, tr := range m.free {
		if tr.Kind() != t.Kind() {
			continue
		}
		sender, err := l.api.NewRTPSender(t, l.pc.SCTP().Transport())
		if err != nil {
			return nil, err
		}
		m.free = append(m.free[:i], m.free[i+1:]...)
		return tr, tr.SetSender(sender, t)
	}
	tr, err := l.pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, err
	}
	m.mids++
	return tr, tr.SetMid("s" + strconv.Itoa(m.mids))
}

// unsend ends the sending of a stream.
func (l *link) unsend(s *engine.Stream) {
	for _, sent := range l.media.streams[s] {
		l.stop(sent)
		l.media.free = append(l.media.free, sent.transceiver)
	}
	delete(l.media.streams, s)
}

func (l *link) stop(sent *sending) {
	if sent.transceiver.Sender() != sent.sender {
		return // stopped before
	}
	if err := l.pc.RemoveTrack(sent.sender); err != nil {
		l.transport.log.Debug("remove a track", "error", err)
	}
}

// reports reads what the viewer says of a track, until that is not sent any more.
func (s *sending) reports() {
	for {
		packets, _, err := s.sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				s.forward.WantKeyframe()
			}
		}
	}
}

// Complete implements engine.MediaLink.
func (l *link) Complete(ctx context.Context, answer string) ([]engine.Track, error) {
	m := &l.media
	if m.offer == nil {
		return nil, errors.New("answer to no offer")
	}
	refused, err := l.complete(ctx, *m.offer, answer)
	if err != nil {
		l.Rollback()
		return nil, err
	}
	for _, s := range m.fresh {
		for _, sent := range m.streams[s] {
			sent.forward.WantKeyframe()
		}
	}
	m.offer, m.fresh = nil, nil
	return refused, nil
}

func (l *link) complete(ctx context.Context, offer webrtc.SessionDescription, answer string) ([]engine.Track, error) {
	taken, answer, err := readAnswer(offer.SDP, answer)
	if err != nil {
		return nil, err
	}
	if err := l.pc.SetLocalDescription(offer); err != nil {
		return nil, fmt.Errorf("set the offer: %w", err)
	}
	var refused []engine.Track
	for _, s := range l.media.fresh {
		for _, sent := range l.media.streams[s] {
			if !taken[sent.transceiver.Mid()].takes(sent.forward.Codec()) {
				refused = append(refused, sent.forward)
				l.stop(sent)
			}
		}
	}
	if err := l.Accept(ctx, answer); err != nil {
		l.end(err) // pion does not take the offer back
		return nil, err
	}
	return refused, nil
}

// answered is a media section of an answer.
type answered struct{ *sdp.MediaDescription }

// readAnswer returns the sections of an answer by name, and the answer as pion can
// go on from it: what it refuses is there as inactive, since pion makes no further
// offer once it was refused all codecs of a kind.
func readAnswer(offer, answer string) (map[string]answered, string, error) {
	var ours, theirs sdp.SessionDescription
	if err := errors.Join(ours.UnmarshalString(offer), theirs.UnmarshalString(answer)); err != nil {
		return nil, "", fmt.Errorf("parse an answer: %w", err)
	}
	if len(theirs.MediaDescriptions) != len(ours.MediaDescriptions) {
		return nil, "", fmt.Errorf("the answer has %d media sections, the offer %d", len(theirs.MediaDescriptions), len(ours.MediaDescriptions))
	}
	sections := make(map[string]answered, len(ours.MediaDescriptions))
	for i, m := range theirs.MediaDescriptions {
		name, _ := ours.MediaDescriptions[i].Attribute("mid")
		sections[name] = answered{m}
		if m.MediaName.Port.Value == 0 && m.MediaName.Media != "application" {
			theirs.MediaDescriptions[i] = inactive(ours.MediaDescriptions[i])
		}
	}
	b, err := theirs.Marshal()
	return sections, string(b), err
}

// inactive is a section with the codecs of another, in which nothing is sent.
func inactive(m *sdp.MediaDescription) *sdp.MediaDescription {
	quiet := &sdp.MediaDescription{MediaName: m.MediaName, ConnectionInformation: m.ConnectionInformation}
	for _, a := range m.Attributes {
		switch a.Key {
		case "mid", "rtpmap", "fmtp", "rtcp-fb", "rtcp-mux":
			quiet.Attributes = append(quiet.Attributes, a)
		}
	}
	return quiet.WithPropertyAttribute("inactive")
}

// takes tells whether what is encoded so can be sent in the section.
func (m answered) takes(codec string) bool {
	if m.MediaDescription == nil || m.MediaName.Port.Value == 0 {
		return false
	}
	if _, inactive := m.Attribute("inactive"); inactive {
		return false
	}
	for _, a := range m.Attributes {
		if a.Key == "rtpmap" && strings.Contains(strings.ToLower(a.Value), " "+strings.ToLower(codec)+"/") {
			return true
		}
	}
	return false
}

// Rollback implements engine.MediaLink. Tracks that were new would else be sent
// with the next description of any kind.
func (l *link) Rollback() {
	m := &l.media
	for _, s := range m.fresh {
		l.unsend(s)
	}
	m.offer, m.fresh = nil, nil
}

var receiving = strings.NewReplacer("\r\na=recvonly\r\n", "\r\na=inactive\r\n", "\r\na=sendrecv\r\n", "\r\na=sendonly\r\n")

// sendOnly is a description that takes no media: its reader sends none.
func sendOnly(description string) string {
	sections := strings.SplitAfter(description, "\r\nm=")
	for i := 1; i < len(sections); i++ {
		if !strings.HasPrefix(sections[i], "application ") {
			sections[i] = receiving.Replace(sections[i])
		}
	}
	return strings.Join(sections, "")
}
