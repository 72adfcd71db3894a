// Package rtc makes the engine's links over WebRTC, with pion.
//
// Links that answer an offer share one UDP port, so that a firewall needs one
// opening. Links that make the offer have sockets of their own: two processes
// that both use a shared port can hold only one working connection between
// them, because packets are told apart by source address
// (docs/decisions.md, "One UDP port").
package rtc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/transport/v4"
	"github.com/pion/webrtc/v4"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/internal/pionlog"
)

// Config is what a Transport is made of.
type Config struct {
	// UDP is the address that answering links share, for example ":3478".
	// Without a host it is that port on every address of the machine.
	UDP string
	// Interfaces are those at whose addresses the port is, where UDP has no host:
	// names, and networks such as 192.0.2.0/24. Default: all.
	Interfaces []string
	// PublicIPs are offered to peers beside the machine's own addresses: what a
	// 1:1 NAT or a cloud provider maps to it.
	PublicIPs []string
	// STUN are server URLs (RFC 7064), for example "stun:stun.example:3478".
	// An unreachable one delays every link.
	STUN   []string
	Logger *slog.Logger // nil: slog.Default()
	// Net is the network that sockets are opened in, for simulations; UDP then
	// names a host. Nil: the machine's.
	Net transport.Net
}

const (
	// disconnectedAfter, failedAfter and keepAlive are ICE's. A link ends when
	// it is disconnected, as the browsers' do.
	disconnectedAfter = 6 * time.Second
	failedAfter       = 15 * time.Second
	keepAlive         = 2 * time.Second
	// maxRTO bounds the time between two attempts to send what is not
	// acknowledged: it is the browsers'. With pion's minute, a small message on
	// a link that loses a fifth of its packets can wait for half a minute.
	maxRTO = 3 * time.Second
	// minCwnd is what SCTP sends after a retransmission timeout, in bytes: four
	// packets instead of one, whose loss would cost another such time.
	minCwnd = 4 * 1200
	// label is the name of the one data channel.
	label = "data"
)

// Transport implements engine.Transport.
type Transport struct {
	log         *slog.Logger
	sockets     []*socket
	mux         ice.UDPMux
	answering   webrtc.SettingEngine
	offering    webrtc.SettingEngine
	hosting     webrtc.SettingEngine // of guests
	media       []func(*webrtc.API)
	servers     []webrtc.ICEServer
	certificate webrtc.Certificate

	mu     sync.Mutex
	closed bool
	links  map[*link]struct{}
	guests map[*Guest]struct{}
	wg     sync.WaitGroup
}

var _ engine.Transport = (*Transport)(nil)

// New opens the UDP port.
func New(cfg Config) (*Transport, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	network, sockets, err := cfg.Net, []net.PacketConn(nil), error(nil)
	if network == nil {
		sockets, err = listen(cfg.UDP, cfg.Interfaces, log)
		if err == nil {
			network, err = newMachine()
		}
	} else {
		sockets, err = listenIn(network, cfg.UDP)
	}
	if err != nil {
		err = fmt.Errorf("listen for WebRTC on udp %s: %w", cfg.UDP, err)
	} else {
		var t *Transport
		if t, err = open(cfg, network, sockets); err == nil {
			return t, nil
		}
	}
	for _, s := range sockets {
		s.Close()
	}
	return nil, err
}

// open makes a transport whose answering links share sockets, and whose other
// links have sockets of a network. On error the caller closes the former.
func open(cfg Config, network transport.Net, sockets []net.PacketConn) (*Transport, error) {
	t := &Transport{log: cfg.Logger, links: make(map[*link]struct{}), guests: make(map[*Guest]struct{})}
	if t.log == nil {
		t.log = slog.Default()
	}
	for _, ip := range cfg.PublicIPs {
		if net.ParseIP(ip) == nil {
			return nil, fmt.Errorf("public ip %q is no IP address", ip)
		}
	}
	for _, url := range cfg.STUN {
		t.servers = append(t.servers, webrtc.ICEServer{URLs: []string{url}})
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the DTLS key: %w", err)
	}
	// One certificate for all links: a browser pins it by its fingerprint in
	// the description, so that nothing is gained by more.
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, fmt.Errorf("make the DTLS certificate: %w", err)
	}
	t.certificate = *cert

	muxes := make([]ice.UDPMux, 0, len(sockets))
	var own []net.IP
	for _, s := range sockets {
		shared := &socket{PacketConn: s}
		t.sockets = append(t.sockets, shared)
		muxes = append(muxes, ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: shared, Logger: pionlog.Factory{Log: t.log}.NewLogger("udpmux")}))
		own = append(own, s.LocalAddr().(*net.UDPAddr).IP)
	}
	t.mux = ice.NewMultiUDPMuxDefault(muxes...)

	settings := t.settings(own, network)
	if err := settings.SetICEAddressRewriteRules(rewriteRules(own, cfg.PublicIPs)...); err != nil {
		t.mux.Close()
		return nil, fmt.Errorf("use public ips %v: %w", cfg.PublicIPs, err)
	}
	settings.SetICEUDPMux(t.mux)
	media, interceptors, err := mediaOptions()
	if err != nil {
		t.mux.Close()
		return nil, err
	}
	t.media = []func(*webrtc.API){media, interceptors}
	t.answering, t.offering = settings, t.settings(own, network)
	settings.SetSCTPMaxMessageSize(maxGuestMessage)
	t.hosting = settings
	return t, nil
}

// settings are those of all links; own are the addresses that we listen on.
func (t *Transport) settings(own []net.IP, network transport.Net) webrtc.SettingEngine {
	var s webrtc.SettingEngine
	s.SetNet(network)
	s.DetachDataChannels()
	// Costs a socket a connection. Browsers' mDNS candidates are not resolved
	// then, but a browser that hides its address reaches ours.
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetICETimeouts(disconnectedAfter, failedAfter, keepAlive)
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	s.SetIPFilter(func(ip net.IP) bool {
		for _, o := range own {
			if o.Equal(ip) {
				return true
			}
		}
		return false
	})
	s.SetSCTPRTOMax(maxRTO)
	s.SetSCTPMinCwnd(minCwnd)
	s.LoggerFactory = pionlog.Factory{Log: t.log}
	return s
}

// rewriteRules offer the public addresses beside each local address that can
// be behind them.
func rewriteRules(own []net.IP, public []string) []webrtc.ICEAddressRewriteRule {
	var rules []webrtc.ICEAddressRewriteRule
	for _, ip := range own {
		var same []string
		for _, p := range public {
			if (net.ParseIP(p).To4() != nil) == (ip.To4() != nil) {
				same = append(same, p)
			}
		}
		if !ip.IsLoopback() && len(same) > 0 {
			rules = append(rules, webrtc.ICEAddressRewriteRule{
				External: same, Local: ip.String(),
				AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteAppend,
			})
		}
	}
	return rules
}

// Addrs are the UDP addresses that answering links share.
func (t *Transport) Addrs() []net.Addr { return t.mux.GetListenAddresses() }

// Answer implements engine.Transport.
func (t *Transport) Answer(ctx context.Context, offer string, h engine.LinkHandler) (engine.Link, string, error) {
	l, err := t.newLink(t.answering, h)
	if err != nil {
		return nil, "", fmt.Errorf("answer an offer: %w", err)
	}
	l.pc.OnDataChannel(l.heard)
	sdp, err := l.answer(ctx, offer)
	if err != nil {
		l.discard()
		return nil, "", fmt.Errorf("answer an offer: %w", err)
	}
	return l, sdp, nil
}

// Offer implements engine.Transport.
func (t *Transport) Offer(ctx context.Context, h engine.LinkHandler) (engine.Link, string, error) {
	l, err := t.newLink(t.offering, h)
	if err != nil {
		return nil, "", fmt.Errorf("make an offer: %w", err)
	}
	sdp, err := l.offer(ctx)
	if err != nil {
		l.discard()
		return nil, "", fmt.Errorf("make an offer: %w", err)
	}
	return l, sdp, nil
}

func (t *Transport) newLink(settings webrtc.SettingEngine, h engine.LinkHandler) (*link, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, net.ErrClosed
	}
	l := &link{transport: t, h: h}
	l.api = bounded(settings, t.media, l.end)
	pc, err := l.api.NewPeerConnection(t.configuration())
	if err != nil {
		return nil, err
	}
	l.pc = pc
	t.links[l] = struct{}{}
	pc.OnConnectionStateChange(l.stateChanged)
	return l, nil
}

func (t *Transport) configuration() webrtc.Configuration {
	return webrtc.Configuration{
		ICEServers:   t.servers,
		Certificates: []webrtc.Certificate{t.certificate},
	}
}

func (t *Transport) forget(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.links, l)
}

// Close ends all links and guests, and frees the port. It waits for both.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	links := make([]*link, 0, len(t.links))
	for l := range t.links {
		links = append(links, l)
	}
	guests := slices.Collect(maps.Keys(t.guests))
	t.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
	for _, g := range guests {
		g.Close()
	}
	t.wg.Wait()
	for _, s := range t.sockets {
		if server := s.server.Load(); server != nil {
			server.Close()
		}
	}
	if err := t.mux.Close(); err != nil {
		return fmt.Errorf("close the WebRTC port: %w", err)
	}
	return nil
}
