package genosrtc

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/stun/v4"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/genosrtc/caddy-genosrtc/turn"
)

// Config is what a Server is made of. The zero Config is valid: a relay that
// carries nothing, since it has no rooms.
type Config struct {
	// Rooms are those that the server takes part in, as a peer. The relay
	// carries the signaling of both GenosRTC rooms of each: the one of its
	// channels, and the one in which browsers exchange their graph data.
	Rooms []Room
	// OnDemand are patterns of path.Match for the names, of 64 bytes at most, of
	// rooms that are opened when somebody asks a Handler for them, without a
	// password, and closed when they have had no users for two minutes. Their
	// users are the peers that they have a link with, and sessions, also those
	// that wait to be resumed, and readers of events. Default none.
	OnDemand []string
	// MaxOnDemand is how many of them can be open. For one more, the one that has
	// been without users for longest is closed. Default DefaultMaxOnDemand.
	MaxOnDemand int
	// Relays are the URLs (ws, wss) of Nostr relays to use beside the embedded
	// one. Default none.
	Relays []string
	// RelayOpen lets the embedded relay carry everybody's topics. By default
	// it carries those of Rooms, and of the peers announced in them.
	RelayOpen bool
	// UDP is the address for WebRTC: a port, on all addresses of the machine
	// or on the one given before the colon. Default ":3478".
	UDP string
	// Interfaces are those at whose addresses the UDP port is, where UDP names no
	// address: names, or networks in CIDR notation. "0.0.0.0/0" is IPv4 only. Default: all.
	Interfaces []string
	// PublicIPs are addresses at which peers reach the UDP port beside the
	// machine's own, as behind a 1:1 NAT. Default none.
	PublicIPs []string
	// STUN are URLs of STUN servers (RFC 7064), which tell the machine's
	// public address where PublicIPs does not. One that cannot be reached
	// delays every link. Default none.
	STUN []string
	// TURN is the STUN and TURN server for clients. Default: there is none.
	TURN TURN
	// Storage is the folder in which the server keeps the journals of its rooms
	// and the seats of sessions, so that these can be resumed after a restart.
	// One server can use it at a time. Default: a temporary one, which Close
	// removes, so that sessions end with the server.
	Storage string
	// Limits bound what others can make the server hold.
	Limits Limits
	// OnEvent is told what happens, one event after the other. While it works, up to
	// 1024 events wait; more are dropped, and counted in Stats.EventsDropped. Close
	// waits for it as long as its context lasts. Apply does not change it. Nil: nobody wants to know.
	OnEvent func(Event)
	// Logger takes what an operator would act on. Default slog.Default().
	Logger *slog.Logger
}

// Room is a room that the server takes part in: the database name that an app
// passes to gdb(name), the room's password, the identity of its sessions, the
// channels on which browsers get what a lost link may have lost once more,
// what may be sent on channels, and whether its peers link by cells.
type Room = engine.RoomConfig

// Rule says what may be sent on a channel of a room.
type Rule = engine.Rule

// Rate is a number of messages in a time.
type Rate = engine.Rate

// Limits bound what others can make the server hold. A zero field means its
// default.
type Limits = engine.Limits

// Identity says how browsers see a session.
type Identity = engine.Identity

// A session is a peer of its own, as far as Limits allow, or speaks through
// the server's one peer.
const (
	IdentitySession = engine.IdentitySession
	IdentityServer  = engine.IdentityServer
)

// CellsMode says whether the peers of a room link by cells.
type CellsMode = engine.CellsMode

// By default a room has cells if the peers in it do.
const (
	CellsAuto = engine.CellsAuto
	CellsOff  = engine.CellsOff
	CellsOn   = engine.CellsOn
)

const defaultUDP = ":3478"

// Validate tells what is wrong with the configuration, as far as that can be
// known without trying it.
func (c Config) Validate() error {
	var errs []error
	for i, room := range c.Rooms {
		if room.Name == "" {
			errs = append(errs, errors.New("a room needs a name"))
		}
		if slices.ContainsFunc(c.Rooms[:i], func(r Room) bool { return r.Name == room.Name }) {
			errs = append(errs, fmt.Errorf("room %q is configured twice", room.Name))
		}
		if room.AnonymousWrite && !room.Memory {
			errs = append(errs, fmt.Errorf("room %q: anonymous write needs memory", room.Name))
		}
		switch {
		case room.CellSize < 0:
			errs = append(errs, fmt.Errorf("room %q: the cell size is negative", room.Name))
		case room.CellSize > 0 && room.Cells == CellsOff:
			errs = append(errs, fmt.Errorf("room %q: there is a cell size, but cells are off", room.Name))
		}
		for _, channel := range room.Redeliver {
			if !engine.ValidChannel(channel) {
				errs = append(errs, fmt.Errorf("room %q: channel %q: %w", room.Name, channel, engine.ErrChannelName))
			}
		}
		if err := engine.ValidateRules(room.Rules); err != nil {
			errs = append(errs, fmt.Errorf("room %q: %w", room.Name, err))
		}
	}
	errs = append(errs, validatePatterns(c.OnDemand))
	for _, relay := range c.Relays {
		if _, err := signaling.ParseRelayURL(relay); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, validateUDP(c.UDP), c.TURN.validate())
	if host, _, err := net.SplitHostPort(c.UDP); err == nil && host != "" && len(c.Interfaces) > 0 {
		errs = append(errs, fmt.Errorf("interfaces are for a UDP address without a host, not for %q", c.UDP))
	}
	for _, name := range c.Interfaces {
		if _, err := netip.ParsePrefix(name); name == "" || strings.Contains(name, "/") && err != nil {
			errs = append(errs, fmt.Errorf("interface %q is neither a name nor a network such as 192.0.2.0/24", name))
		}
	}
	for _, ip := range c.PublicIPs {
		if addr, err := netip.ParseAddr(ip); err != nil || addr.Zone() != "" || addr.IsUnspecified() {
			errs = append(errs, fmt.Errorf("public IP %q is not an IP address", ip))
		}
	}
	for _, s := range c.STUN {
		if uri, err := stun.ParseURI(s); err != nil || uri.Scheme != stun.SchemeTypeSTUN {
			errs = append(errs, fmt.Errorf("STUN URL %q is not of the form stun:host or stun:host:port", s))
		}
	}
	return errors.Join(errs...)
}

func validateUDP(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("UDP address %q is not of the form :port or ip:port", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("UDP address %q: %q is not a port", address, port)
	}
	if host == "" {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return fmt.Errorf("UDP address %q: %q is not an IP address", address, host)
	case ip.IsUnspecified():
		return fmt.Errorf("UDP address %q: for all addresses write :%s", address, port)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.UDP == "" {
		c.UDP = defaultUDP
	}
	if c.TURN.Secret != "" && c.TURN.Ports == (PortRange{}) {
		c.TURN.Ports = turn.DefaultPorts
	}
	if c.MaxOnDemand <= 0 {
		c.MaxOnDemand = DefaultMaxOnDemand
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// checkFixed refuses what a running server cannot change.
func (c Config) checkFixed(next Config) error {
	fixed := func(what string, old, new any) error {
		return fmt.Errorf("%s cannot change from %v to %v while the server runs: stop it and start it again", what, old, new)
	}
	switch {
	case next.UDP != c.UDP:
		return fixed("the UDP address", c.UDP, next.UDP)
	case !slices.Equal(next.Interfaces, c.Interfaces):
		return fixed("the list of interfaces", c.Interfaces, next.Interfaces)
	case !slices.Equal(next.PublicIPs, c.PublicIPs):
		return fixed("the list of public IPs", c.PublicIPs, next.PublicIPs)
	case !slices.Equal(next.STUN, c.STUN):
		return fixed("the list of STUN URLs", c.STUN, next.STUN)
	case (next.TURN.Secret == "") != (c.TURN.Secret == ""):
		return fixed("whether there is a TURN server", c.TURN.Secret != "", next.TURN.Secret != "")
	case next.TURN.Ports != c.TURN.Ports:
		return fixed("the range of TURN ports", c.TURN.Ports, next.TURN.Ports)
	case next.Storage != c.Storage:
		return fixed("the storage folder", c.Storage, next.Storage)
	case next.RelayOpen != c.RelayOpen:
		return fixed("whether the relay is open", c.RelayOpen, next.RelayOpen)
	}
	return nil
}
