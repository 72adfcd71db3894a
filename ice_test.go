package genosrtc

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
)

const secret = "0123456789abcdef"

// servers asks a site for STUN and TURN servers.
func servers(t *testing.T, site string) (list []handler.ICEServer) {
	t.Helper()
	res, err := http.Get(site + "/ice?room=demo")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", res.Status, err)
	}
	return list
}

// Who reaches the server's TURN only, by UDP or by TCP, can link with its peers.
func TestLinksThroughTURN(t *testing.T) {
	s := start(t, Config{Rooms: rooms("demo"), TURN: TURN{Secret: secret}})
	list := servers(t, serve(t, s, Site{}))
	udp := s.transport.Addrs()[0].String()
	want := [][]string{{"stun:" + udp}, {"turn:" + udp + "?transport=udp", "turn:" + udp + "?transport=tcp"}}
	if len(list) != 2 || !slices.Equal(list[0].URLs, want[0]) || !slices.Equal(list[1].URLs, want[1]) || list[1].Lifetime != 12*time.Hour {
		t.Fatalf("servers %v", list)
	}
	for _, url := range list[1].URLs {
		t.Run(url[strings.LastIndexByte(url, '=')+1:], func(t *testing.T) {
			var settings webrtc.SettingEngine
			settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
			settings.SetIncludeLoopbackCandidate(true)
			settings.SetIPFilter(net.IP.IsLoopback)
			settings.SetRelayAcceptanceMinWait(0) // there is nothing better to wait for
			pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{
				ICEServers:         []webrtc.ICEServer{{URLs: []string{url}, Username: list[1].Username, Credential: list[1].Credential}},
				ICETransportPolicy: webrtc.ICETransportPolicyRelay,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer pc.GracefulClose()
			channel, err := pc.CreateDataChannel("data", nil)
			if err != nil {
				t.Fatal(err)
			}
			opened := make(chan struct{})
			channel.OnOpen(func() { close(opened) })
			offer, err := pc.CreateOffer(nil)
			if err != nil {
				t.Fatal(err)
			}
			gathered := webrtc.GatheringCompletePromise(pc)
			if err := pc.SetLocalDescription(offer); err != nil {
				t.Fatal(err)
			}
			<-gathered
			link, answer, err := s.transport.Answer(t.Context(), pc.LocalDescription().SDP, deaf{})
			if err != nil {
				t.Fatal(err)
			}
			defer link.Close()
			if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
				t.Fatal(err)
			}
			select {
			case <-opened:
			case <-time.After(20 * time.Second):
				t.Fatalf("the link does not open: %+v", s.turn.Stats())
			}
		})
	}
	if stats := s.Stats().TURN; stats.Created != 2 || stats.Sent == 0 || stats.Received == 0 {
		t.Errorf("stats %+v", stats)
	}
}

// deaf hears nothing.
type deaf struct{}

func (deaf) LinkOpen()            {}
func (deaf) LinkFrame([]byte)     {}
func (deaf) LinkJunk(engine.Junk) {}
func (deaf) LinkWritable()        {}
func (deaf) LinkClosed(error)     {}

// Of TURN the secret and the limits change while the server runs.
func TestTURNIsReloaded(t *testing.T) {
	cfg := Config{Rooms: rooms("demo"), TURN: TURN{Secret: secret}}
	s := start(t, cfg)
	site := serve(t, s, Site{})
	cfg.UDP = loopback
	before := servers(t, site)[1]
	cfg.TURN.Secret, cfg.TURN.Limits.Lifetime = "another secret of ours", time.Minute
	if err := s.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	after := servers(t, site)[1]
	if after.Lifetime != time.Minute {
		t.Errorf("lifetime %v", after.Lifetime)
	}
	for server, good := range map[*handler.ICEServer]bool{&before: false, &after: true} {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		at := s.transport.Addrs()[0].String()
		client, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: at, TURNServerAddr: at, Conn: conn, Username: server.Username, Password: server.Credential})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if err := client.Listen(); err != nil {
			t.Fatal(err)
		}
		relay, err := client.Allocate()
		if (err == nil) != good {
			t.Errorf("good %v, but: %v", good, err)
		}
		if err == nil {
			relay.Close()
		}
	}
	for name, change := range map[string]func(*Config){
		"whether there is a TURN server": func(c *Config) { c.TURN = TURN{} },
		"the range of TURN ports":        func(c *Config) { c.TURN.Ports = PortRange{First: 50000, Last: 50001} },
	} {
		next := cfg
		change(&next)
		if err := s.Apply(next); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestAddressesOfTURN(t *testing.T) {
	for _, test := range []struct{ at, want []string }{
		{[]string{"127.0.0.1:3478", "[::1]:3478"}, []string{"stun:127.0.0.1:3478", "stun:[::1]:3478"}},
		{[]string{"127.0.0.1:3478", "192.168.1.5:3478", "172.17.0.1:3478", "[::1]:3478"}, []string{"stun:192.168.1.5:3478"}},
		{[]string{"10.0.0.5:3478", "203.0.113.7:3478", "[::1]:3478"}, []string{"stun:203.0.113.7:3478"}},
		{[]string{"10.0.0.5:3478", "203.0.113.7:3478", "[2001:db8::7]:3478", "[fd00::1]:3478"}, []string{"stun:203.0.113.7:3478", "stun:[2001:db8::7]:3478"}},
	} {
		var s Server
		var at []netip.AddrPort
		for _, a := range test.at {
			at = append(at, netip.MustParseAddrPort(a))
		}
		s.iceURLs(at)
		if !slices.Equal(s.stunURLs, test.want) || len(s.turnURLs) != 2*len(test.want) {
			t.Errorf("%v: %v, %v", test.at, s.stunURLs, s.turnURLs)
		}
	}
}
