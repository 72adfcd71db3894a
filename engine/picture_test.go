package engine

import (
	"testing"
)

// A picture of a room has its bounds, and counts what is beyond them.
func TestPictureIsBounded(t *testing.T) {
	p := new(Picture)
	p.Peers = append(p.Peers, PicturePeer{Peer: Peer{ID: "server"}})
	for i := range 2 * PicturePeers {
		id := newPeerID()
		p.Peers = append(p.Peers, PicturePeer{Peer: Peer{ID: id}, Remote: true, Linked: i % 2})
		if i%2 == 1 {
			for range 3 {
				p.Links = append(p.Links, PictureLink{Hosted: "server", Remote: id})
			}
		}
		p.Transfers = append(p.Transfers, PictureTransfer{ID: uint64(i)})
	}
	p.Peers[0], p.Peers[7] = p.Peers[7], p.Peers[0]
	p.crop()
	if len(p.Peers) != PicturePeers || len(p.Links) != PictureLinks || len(p.Transfers) != PictureTransfers {
		t.Fatalf("%d peers, %d links, %d transfers", len(p.Peers), len(p.Links), len(p.Transfers))
	}
	if p.Peers[0].ID != "server" || p.Peers[PicturePeers-1].Linked == 0 {
		t.Error("the server and who is linked with it are not first")
	}
	listed := make(map[string]bool)
	for _, peer := range p.Peers {
		listed[peer.ID] = true
	}
	for _, l := range p.Links {
		if !listed[l.Remote] {
			t.Fatalf("a link with %s, who is not listed", l.Remote)
		}
	}
}
