package main

import (
	"net"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
)

// What a link of package engine/rtc is set to, and the size of its frames.
const (
	socketBuffer = 4 << 20
	maxRTO       = 3 * time.Second
	minCwnd      = 4 * 1200
	frameSize    = 16 << 10
)

// How much the raw sender leaves to pion: as in the reference figures.
const (
	highWater = 1 << 20
	lowWater  = 256 << 10
)

// raw is a process with nothing but a data channel.
type raw struct {
	pc     *webrtc.PeerConnection
	opened chan *datachannel.DataChannel
}

func newRaw() (*raw, error) {
	var s webrtc.SettingEngine
	s.LoggerFactory = &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
	s.DetachDataChannels()
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetIPFilter(net.IP.IsLoopback)
	s.SetSCTPRTOMax(maxRTO)
	s.SetSCTPMinCwnd(minCwnd)
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	if err := socket.SetReadBuffer(socketBuffer); err != nil {
		return nil, err
	}
	if err := socket.SetWriteBuffer(socketBuffer); err != nil {
		return nil, err
	}
	s.SetICEUDPMux(ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: socket, Logger: s.LoggerFactory.NewLogger("mux")}))
	r := &raw{opened: make(chan *datachannel.DataChannel, 1)}
	r.pc, err = webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	return r, err
}

func (r *raw) adopt(dc *webrtc.DataChannel) {
	dc.OnOpen(func() {
		if d, err := dc.Detach(); err == nil {
			r.opened <- d.(*datachannel.DataChannel)
		}
	})
}

// connect makes the connection and waits for its data channel.
func (r *raw) connect(l *line, offer bool) (*datachannel.DataChannel, error) {
	if offer {
		dc, err := r.pc.CreateDataChannel("data", nil)
		if err != nil {
			return nil, err
		}
		r.adopt(dc)
		sdp, err := r.pc.CreateOffer(nil)
		if err == nil {
			err = r.describe(l, sdp)
		}
		if err != nil {
			return nil, err
		}
	} else {
		r.pc.OnDataChannel(r.adopt)
	}
	n, err := l.hear()
	if err != nil {
		return nil, err
	}
	typ := webrtc.SDPTypeOffer
	if offer {
		typ = webrtc.SDPTypeAnswer
	}
	if err := r.pc.SetRemoteDescription(webrtc.SessionDescription{Type: typ, SDP: n.SDP}); err != nil {
		return nil, err
	}
	if !offer {
		sdp, err := r.pc.CreateAnswer(nil)
		if err == nil {
			err = r.describe(l, sdp)
		}
		if err != nil {
			return nil, err
		}
	}
	return <-r.opened, nil
}

// describe tells the other process a description with all candidates.
func (r *raw) describe(l *line, sdp webrtc.SessionDescription) error {
	complete := webrtc.GatheringCompletePromise(r.pc)
	if err := r.pc.SetLocalDescription(sdp); err != nil {
		return err
	}
	<-complete
	return l.tell(note{SDP: r.pc.LocalDescription().SDP})
}

// send sends so many bytes and returns the time until all had arrived.
func (r *raw) send(l *line, bytes int) (time.Duration, error) {
	dc, err := r.connect(l, true)
	if err != nil {
		return 0, err
	}
	more := make(chan struct{}, 1)
	dc.SetBufferedAmountLowThreshold(lowWater)
	dc.OnBufferedAmountLow(func() {
		select {
		case more <- struct{}{}:
		default:
		}
	})
	data := make([]byte, frameSize)
	for i := range data {
		data[i] = byte(i * 7)
	}
	start := time.Now()
	for sent := 0; sent < bytes; sent += len(data) {
		for dc.BufferedAmount() > highWater {
			<-more
		}
		if _, err := dc.Write(data); err != nil {
			return 0, err
		}
	}
	if _, err := l.hear(); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

func (r *raw) receive(l *line, bytes int) error {
	dc, err := r.connect(l, false)
	if err != nil {
		return err
	}
	buf := make([]byte, 4*frameSize)
	for got := 0; got < bytes; {
		n, err := dc.Read(buf)
		if err != nil {
			return err
		}
		got += n
	}
	return nil
}
