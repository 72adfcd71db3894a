package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// assembly puts a payload together for the peers behind links, which get it as
// one message. The chunks are kept as they are, shared with the recipients'
// queues. A room keeps maxAssembled bytes of all its assemblies; one that would
// need more is given up, and its peers are reported as busy. It belongs to the
// room's actor.
type assembly struct {
	peers    map[string]int // to whom it has not passed: the frames that have
	parts    [][]byte
	size     uint64
	encoding bool
}

// addLink makes a remote peer a recipient. It is refused before anything was
// sent if the payload is too large for a message; whether compression would
// make it fit is not known yet.
func (t *transfer) addLink(peer string) {
	chunks := (t.what.Size + frame.MaxPayload - 1) / frame.MaxPayload
	if t.what.Kind == Binary && len(t.what.Meta) > 0 {
		chunks++
	}
	switch {
	case chunks > frame.MaxChunks || t.what.Kind == Binary && len(t.what.Meta) > frame.MaxPayload:
		t.result(peer, ErrTooLarge, "")
	case t.what.Offset > 0:
		// Its sender comes from before a restart, and the beginning is lost.
		t.result(peer, ErrPeerGone, "")
	default:
		if t.links == nil {
			t.links = &assembly{peers: make(map[string]int)}
		}
		t.links.peers[peer] = 0
	}
}

// addFar refuses the payload to the peers of other cells, which can only get what fits
// a frame of the mesh: that is a message, and no transfer.
func (t *transfer) addFar() {
	if t.what.Channel == ChannelMesh {
		return
	}
	named := 0
	for id := range t.room.remotes {
		if p := t.from.hosted.pairs[id]; p != nil && p.live != nil || !t.room.inMesh(id) {
			continue
		}
		if named++; named > maxMeshResults {
			t.result("", ErrOtherCell, "")
			return
		}
		t.result(id, ErrOtherCell, "")
	}
}

// assemble keeps the part of a chunk that the assembly waits for.
func (t *transfer) assemble(c *TransferChunk) {
	a, end := t.links, c.Offset+uint64(len(c.Data))
	if a.size < c.Offset || a.size >= end {
		return
	}
	part := c.Data[a.size-c.Offset:]
	if t.room.assembled+len(part) > maxAssembled {
		t.failLinks(ErrBusy)
		return
	}
	t.room.assembled += len(part)
	a.parts = append(a.parts, part)
	a.size = end
}

// failLinks gives up all peers behind links.
func (t *transfer) failLinks(err error) {
	for peer := range t.links.peers {
		t.result(peer, err, "")
	}
	t.releaseLinks()
}

// releaseLinks forgets what was assembled.
func (t *transfer) releaseLinks() {
	if a := t.links; a != nil && !a.encoding {
		t.room.assembled -= int(a.size)
		a.parts, a.size = nil, 0
	}
	t.links = nil
}

// encodeForLinks makes the message, once all is there. Joining, hashing and
// compressing take time, so not in the actor.
func (t *transfer) encodeForLinks() {
	a := t.links
	if a == nil || a.encoding {
		return
	}
	a.encoding = true
	r := t.room
	r.tasks.Go(func() {
		frames, err := t.encode(a.parts)
		r.post(func() {
			r.assembled -= int(a.size)
			a.parts = nil
			if t.links != a {
				return // cancelled meanwhile
			}
			if err != nil {
				t.failLinks(err)
				t.settle()
				return
			}
			t.sendToLinks(frames)
		})
	})
}

// encode uses nothing of t that changes.
func (t *transfer) encode(parts [][]byte) ([][]byte, error) {
	data := bytes.Join(parts, nil)
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) != t.hash ||
		t.what.Kind == Text && !utf8.Valid(data) || t.what.Kind == JSON && !json.Valid(data) {
		return nil, ErrCorrupt
	}
	channel := t.what.Channel
	content := Content{Kind: t.what.Kind, Data: data, Meta: t.what.Meta}
	frames, err := frame.Encode(channel, t.from.hosted.nextNonce(channel), content)
	if err != nil {
		return nil, ErrTooLarge
	}
	return frames, nil
}

// sendToLinks hands the message to the links.
func (t *transfer) sendToLinks(frames [][]byte) {
	for peer := range t.links.peers {
		err := ErrPeerGone
		if p := t.from.hosted.pairs[peer]; p != nil && p.live != nil {
			err = p.live.out.put(t.what.Channel, &outgoing{frames: frames, report: func(passed int, err error) {
				t.room.post(func() { t.passed(peer, passed, len(frames), err) })
			}})
		}
		if err != nil {
			t.passed(peer, 0, len(frames), err)
		}
	}
}

// passed notes how many frames a link has passed on, or that it ended.
func (t *transfer) passed(peer string, frames, of int, err error) {
	if t.over || t.links == nil {
		return
	}
	shown, waits := t.links.peers[peer]
	if !waits || err == nil && frames <= shown { // what is sent again is not shown again
		return
	}
	if err != nil {
		t.result(peer, err, "")
	} else {
		t.from.push(TransferProgress{t.key.id, peer, float64(frames) / float64(of)})
		if t.links.peers[peer] = frames; frames < of {
			return
		}
		t.reached = true
	}
	delete(t.links.peers, peer)
	if len(t.links.peers) == 0 {
		t.links = nil
	}
	t.settle()
}
