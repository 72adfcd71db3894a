package main

import (
	"errors"
	"net"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
)

// What may wait in pion before a writer is held back, and when it goes on.
const (
	highWater = 1 << 20
	lowWater  = 256 << 10
	// socketBuffer is what package engine/rtc gives its socket.
	socketBuffer = 4 << 20
)

// channel is one end of a data channel, and the connection that it belongs to.
type channel struct {
	*datachannel.DataChannel

	pc       *webrtc.PeerConnection
	mux      ice.UDPMux // nil without a socket of our own
	opened   chan struct{}
	writable chan struct{}
}

// newChannel prepares an end on loopback: with a socket of its own that has
// large buffers, or as pion does by default.
func newChannel(largeBuffers bool) (*channel, error) {
	c := &channel{opened: make(chan struct{}), writable: make(chan struct{}, 1)}
	var s webrtc.SettingEngine
	s.LoggerFactory = &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
	s.DetachDataChannels()
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetIPFilter(net.IP.IsLoopback)
	if largeBuffers {
		socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, err
		}
		if err := errors.Join(socket.SetReadBuffer(socketBuffer), socket.SetWriteBuffer(socketBuffer)); err != nil {
			return nil, errors.Join(err, socket.Close())
		}
		c.mux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: socket, Logger: s.LoggerFactory.NewLogger("mux")})
		s.SetICEUDPMux(c.mux)
	}
	var err error
	c.pc, err = webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	return c, err
}

// offer returns a session description with all candidates.
func (c *channel) offer() (string, error) {
	dc, err := c.pc.CreateDataChannel("data", nil)
	if err != nil {
		return "", err
	}
	c.adopt(dc)
	sdp, err := c.pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	return c.gather(sdp)
}

// answer takes up an offer.
func (c *channel) answer(offer string) (string, error) {
	c.pc.OnDataChannel(c.adopt)
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	sdp, err := c.pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	return c.gather(sdp)
}

// accept completes an offer, and waits until the channel is open.
func (c *channel) accept(answer string) error {
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return err
	}
	select {
	case <-c.opened:
		return nil
	case <-time.After(patience):
		return errors.New("the data channel did not open")
	}
}

func (c *channel) gather(sdp webrtc.SessionDescription) (string, error) {
	complete := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(sdp); err != nil {
		return "", err
	}
	<-complete
	return c.pc.LocalDescription().SDP, nil
}

func (c *channel) adopt(dc *webrtc.DataChannel) {
	dc.OnOpen(func() {
		raw, err := dc.Detach()
		if err != nil {
			return // then it does not open
		}
		c.DataChannel = raw.(*datachannel.DataChannel)
		c.SetBufferedAmountLowThreshold(lowWater)
		c.OnBufferedAmountLow(func() {
			select {
			case c.writable <- struct{}{}:
			default:
			}
		})
		close(c.opened)
	})
}

// send writes a message, after waiting while too much is buffered.
func (c *channel) send(b []byte) error {
	for c.BufferedAmount() > highWater {
		select {
		case <-c.writable:
		case <-time.After(patience):
			return errors.New("the data channel does not move")
		}
	}
	_, err := c.Write(b)
	return err
}

func (c *channel) close() {
	_ = c.pc.Close()
	if c.mux != nil {
		_ = c.mux.Close()
	}
}
