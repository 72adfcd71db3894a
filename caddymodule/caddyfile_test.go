package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

var update = flag.Bool("update", false, "write what the Caddyfiles adapt to into testdata/*.caddytest")

// Each file of testdata is a Caddyfile, a line of dashes, and the JSON that it
// adapts to.
func TestCaddyfileAdaptsToJSON(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddytest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, _ := strings.Cut(string(content), "----------\n")
			got, err := adapt(t, caddyfile)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(caddyfile+"----------\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("adapted to:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func adapt(t *testing.T, caddyfile string) (string, error) {
	t.Helper()
	adapter := caddyconfig.GetAdapter("caddyfile")
	config, _, err := adapter.Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	return pretty.String(), nil
}

// A mistake in a Caddyfile is reported with its line, before anything runs.
func TestCaddyfileErrors(t *testing.T) {
	for name, test := range map[string]struct{ directive, global, want string }{
		"unknown option":        {directive: "romms demo", want: `unknown option "romms" of genosrtc`},
		"pattern":               {directive: "rooms [", want: `rooms "[": not a pattern`},
		"no pattern":            {directive: "rooms", want: "wrong argument count"},
		"misplaced option":      {directive: "password x", want: `unknown option "password" of genosrtc`},
		"room without name":     {directive: "room", want: "wrong argument count"},
		"room with empty name":  {directive: `room ""`, want: "a room needs a name"},
		"room with two names":   {directive: "room a b", want: "wrong argument count"},
		"room twice":            {directive: "room demo\nroom demo", want: `room "demo" is configured twice`},
		"room's unknown option": {directive: "room demo {\npasword x\n}", want: `unknown option "pasword" of room "demo"`},
		"no password":           {directive: "room demo {\npassword\n}", want: "wrong argument count"},
		"empty password":        {directive: "room demo {\npassword \"\"\n}", want: `the password of room "demo" is empty`},
		"password twice":        {directive: "room demo {\npassword x\npassword y\n}", want: `option "password" is given twice`},
		"identity":              {directive: "room demo {\nidentity shared\n}", want: `identity "shared" is neither session nor server`},
		"no channel":            {directive: "room demo {\nredeliver\n}", want: "wrong argument count"},
		"channel":               {directive: "room demo {\nredeliver chat @_ping\n}", want: `channel "@_ping"`},
		"redeliver twice":       {directive: "room demo {\nredeliver a\nredeliver b\n}", want: `option "redeliver" is given twice`},
		"durable":               {directive: "room demo {\ndurable yes\n}", want: "wrong argument count"},
		"memory":                {directive: "room demo {\nmemory 1GiB\n}", want: "wrong argument count"},
		"anonymous":             {directive: "room demo {\nanonymous read\n}", want: `anonymous can only be write, not "read"`},
		"no cells":              {directive: "room demo {\ncells\n}", want: "wrong argument count"},
		"cells":                 {directive: "room demo {\ncells yes\n}", want: `cells "yes" is none of auto, off and on`},
		"cells' size":           {directive: "room demo {\ncells on 0\n}", want: `cells of room "demo": "0" is not a positive number of peers`},
		"cells' sizes":          {directive: "room demo {\ncells on 5 6\n}", want: "wrong argument count"},
		"no cells of a size":    {directive: "room demo {\ncells off 5\n}", want: `cells off of room "demo" takes no size`},
		"cells twice":           {directive: "room demo {\ncells on\ncells off\n}", want: `option "cells" is given twice`},
		"channel without name":  {directive: "room demo {\nchannel\n}", want: "wrong argument count"},
		"channel's name":        {directive: "room demo {\nchannel @_ping\n}", want: `channel "@_ping"`},
		"channel twice":         {directive: "room demo {\nchannel a\nchannel a\n}", want: `channel "a" of room "demo" is configured twice`},
		"channel's option":      {directive: "room demo {\nchannel a {\nsize 1\n}\n}", want: `unknown option "size" of channel "a"`},
		"channel's size":        {directive: "room demo {\nchannel a {\nmax_size big\n}\n}", want: `max_size: "big" is not a size such as 64KiB`},
		"channel's rate":        {directive: "room demo {\nchannel a {\nrate 20\n}\n}", want: `rate "20" is not of the form 20/s`},
		"channel's rate of 0":   {directive: "room demo {\nchannel a {\nrate 0/s\n}\n}", want: `rate "0/s" is not of the form 20/s`},
		"channel's schema":      {directive: "room demo {\nchannel a {\nschema\n}\n}", want: "wrong argument count"},
		"channel's rate twice":  {directive: "room demo {\nchannel a {\nrate 1/s\nrate 2/s\n}\n}", want: `option "rate" is given twice`},
		"no origin":             {directive: "origins", want: "wrong argument count"},
		"origin without scheme": {directive: "origins example.com", want: `origin "example.com"`},
		"origin with path":      {directive: "origins https://example.com/app", want: `origin "https://example.com/app"`},
		"origins twice":         {directive: "origins https://a.example\norigins https://b.example", want: `option "origins" is given twice`},
		"whip":                  {directive: "whip lenient", want: `whip can only be strict, not "lenient"`},
		"no whip":               {directive: "whip", want: "wrong argument count"},
		"auth":                  {directive: "auth", want: "wrong argument count"},
		"unknown auth":          {directive: "auth basic", want: `auth "basic": there are jwt and caddy`},
		"auth twice":            {directive: "auth caddy\nauth caddy", want: "auth caddy is given twice"},
		"jwt without a block":   {directive: "auth jwt", want: "auth jwt needs algorithm, key and audience"},
		"jwt without audience":  {directive: "auth jwt {\nalgorithm HS256\nkey x\n}", want: "auth jwt needs algorithm, key and audience"},
		"jwt's algorithm":       {directive: "auth jwt {\nalgorithm none\nkey x\naudience x\n}", want: `algorithm "none"`},
		"jwt's option":          {directive: "auth jwt {\nissuer x\n}", want: `unknown option "issuer" of auth jwt`},
		"jwt's key twice":       {directive: "auth jwt {\nkey x\nkey y\n}", want: `option "key" is given twice`},
		"sessions of a room":    {directive: "room demo {\nsessions none\n}", want: `sessions of room "demo": "none" is not a positive number`},
		"limit that is no rate": {directive: "limits {\nrate 100\n}", want: `limit rate: "100" is not of the form 100/s`},
		"unknown limit":         {directive: "limits {\nseats 3\n}", want: `unknown limit "seats"`},
		"limit that is zero":    {directive: "limits {\nsessions 0\n}", want: `limit sessions: "0" is not a positive number`},
		"limit that is no size": {directive: "limits {\nmessage big\n}", want: `limit message: "big" is not a positive number`},
		"limit that is no time": {directive: "limits {\nresume 5\n}", want: `limit resume: "5" is not a duration such as 90s or 2m`},
		"limit twice":           {directive: "limits {\nsessions 1\nsessions 2\n}", want: `option "sessions" is given twice`},
		"monitor":               {directive: "monitor on", want: "wrong argument count"},
		"monitor twice":         {directive: "monitor\nmonitor", want: `option "monitor" is given twice`},
		"limits on one line":    {directive: "limits sessions 1", want: "wrong argument count"},

		"unknown global option": {global: "relais wss://relay.example", want: `unknown option "relais" of genosrtc`},
		"no relay":              {global: "relays", want: "wrong argument count"},
		"relay's scheme":        {global: "relays https://relay.example", want: "must begin with ws:// or wss://"},
		"relays twice":          {global: "relays wss://a.example\nrelays wss://b.example", want: `option "relays" is given twice`},
		"relay's mode":          {global: "relay closed", want: `relay can only be open, not "closed"`},
		"udp without port":      {global: "udp 3478", want: `UDP address "3478" is not of the form :port or ip:port`},
		"udp host name":         {global: "udp localhost:3478", want: `"localhost" is not an IP address`},
		"udp port":              {global: "udp :70000", want: `"70000" is not a port`},
		"udp on all":            {global: "udp 0.0.0.0:3478", want: "for all addresses write :3478"},
		"no interface":          {global: "interfaces", want: "wrong argument count"},
		"interface":             {global: "interfaces eth0 192.0.2.0/33", want: `interface "192.0.2.0/33" is neither a name nor a network`},
		"public ip":             {global: "public_ip example.com", want: `public IP "example.com" is not an IP address`},
		"stun":                  {global: "stun turn:turn.example", want: `STUN URL "turn:turn.example"`},
		"turn without a secret": {global: "turn", want: "turn needs a secret"},
		"turn's argument":       {global: "turn on {\n}", want: "wrong argument count"},
		"turn's option":         {global: "turn {\nlisten :3478\n}", want: `unknown option "listen" of turn`},
		"turn's short secret":   {global: "turn {\nsecret 123456789012345\n}", want: "the TURN secret is too short"},
		"turn's empty secret":   {global: "turn {\nsecret \"\"\n}", want: "turn needs a secret"},
		"turn's secrets":        {global: "turn {\nsecret a b\n}", want: "wrong argument count"},
		"turn's ports":          {global: "turn {\nports 50000\n}", want: `ports of turn: "50000" is not of the form 49152-65535`},
		"turn's ports' order":   {global: "turn {\nports 2-1\n}", want: `ports of turn: "2-1"`},
		"turn's port 0":         {global: "turn {\nports 0-1\n}", want: `ports of turn: "0-1"`},
		"turn's ports, two":     {global: "turn {\nports 1-2 3-4\n}", want: "wrong argument count"},
		"turn's lifetime":       {global: "turn {\nlifetime 5\n}", want: `limit lifetime: "5" is not a duration`},
		"turn's allocations":    {global: "turn {\nallocations 0\n}", want: `allocations of turn: "0" is not a positive number`},
		"turn's per_user":       {global: "turn {\nper_user x\n}", want: `per_user of turn: "x" is not a positive number`},
		"turn's per_address":    {global: "turn {\nper_address\n}", want: "wrong argument count"},
		"turn's secret twice":   {global: "turn {\nsecret 1234567890123456\nsecret 1234567890123456\n}", want: `option "secret" is given twice`},
		"turn twice":            {global: "turn {\nsecret 1234567890123456\n}\nturn {\nsecret 1234567890123456\n}", want: `option "turn" is given twice`},
		"storage":               {global: "storage", want: "wrong argument count"},
		"global twice":          {global: "udp :1\n}\ngenosrtc {", want: "the global option genosrtc is given twice"},
	} {
		t.Run(name, func(t *testing.T) {
			caddyfile := "http://localhost {\ngenosrtc {\n" + test.directive + "\n}\n}\n"
			if test.global != "" {
				caddyfile = "{\ngenosrtc {\n" + test.global + "\n}\n}\n"
			}
			_, err := adapt(t, caddyfile)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if !strings.Contains(err.Error(), "Caddyfile:") {
				t.Errorf("error %q names no line", err)
			}
		})
	}
}

func TestCaddyfilePathErrors(t *testing.T) {
	for argument, want := range map[string]string{
		"rtc":     `path "rtc" is not of the form /segment/segment`,
		"/rtc/":   `path "/rtc/"`,
		"/rtc/*":  `path "/rtc/*"`,
		"@mobile": `path "@mobile"`,
		"/a /b":   "wrong argument count",
	} {
		_, err := adapt(t, "http://localhost {\ngenosrtc "+argument+"\n}\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("genosrtc %s: error %v does not say %q", argument, err, want)
		}
	}
}
