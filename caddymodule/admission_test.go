package caddymodule

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

const secret = "a secret of thirty-two bytes ...."

// sign signs whatever a test wants said.
func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func mint(t *testing.T, claims admission.Claims) string {
	t.Helper()
	if claims.Expires.IsZero() {
		claims.Expires = time.Now().Add(time.Hour)
	}
	token, err := admission.Mint(admission.Config{Algorithm: "HS256", Key: []byte(secret), Audience: "demo"}, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// ask sends a request and returns the answer, of a stream of events the beginning.
func ask(t *testing.T, method, url string, header http.Header) (status int, answer []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(testclient.Within(t), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := testclient.HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.Header.Get("Content-Type") == "text/event-stream" {
		return response.StatusCode, nil
	}
	if answer, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// Each kind of bad credentials is refused with its code, by header and by hello,
// and no credentials stand in any log afterwards.
func TestAdmission(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	t.Setenv("GENOSRTC_TEST_KEY", secret)
	accessLog, log := writeFile(t, ""), writeFile(t, "")

	c := newCaddy(t)
	config := string(c.config(`
	log {
		output file `+accessLog+` {
			roll_disabled
		}
		format filter {
			wrap json
			fields {
				request>uri query {
					replace ticket REDACTED
				}
			}
		}
	}
	genosrtc {
		room demo
		room other
		room locked {
			password swordfish
		}
		auth jwt {
			algorithm HS256
			key {env.GENOSRTC_TEST_KEY}
			audience demo
		}
	}
	genosrtc /rsa {
		room demo
		auth jwt {
			algorithm RS256
			key {file.`+writeFile(t, string(public))+`}
			audience demo
		}
	}
	genosrtc /plain {
		room locked {
			password swordfish
		}
	}`, "", ""))
	config = strings.Replace(config, `{"output":"discard"}`, `{"output":"file","filename":"`+log+`","roll":false}`, 1)
	config = strings.Replace(config, `"default":{`, `"default":{"level":"DEBUG",`, 1)
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSuffix(c.url, "/genosrtc")
	soon, past := time.Now().Add(time.Hour).Unix(), time.Now().Add(-time.Hour).Unix()
	secrets := []string{secret, "swordfish", "mackerel"}
	// shown notes a token, whose signature must not be in a log, nor its claims.
	shown := func(token string) string {
		if parts := strings.Split(token, "."); len(parts) == 3 {
			for _, part := range parts[1:] {
				if part != "" {
					secrets = append(secrets, part)
				}
			}
		}
		return token
	}
	hs := func(key string, claims jwt.MapClaims) string {
		return sign(t, jwt.SigningMethodHS256, []byte(key), claims)
	}
	demo := jwt.MapClaims{"aud": "demo", "exp": soon, "user": "ada"}
	for name, test := range map[string]struct {
		path, room, token string
		status            int
		code              string
	}{
		"good":                    {"/genosrtc", "demo", hs(secret, demo), 101, ""},
		"good, RSA":               {"/rsa", "demo", sign(t, jwt.SigningMethodRS256, rsaKey, demo), 101, ""},
		"good, list of audiences": {"/genosrtc", "demo", hs(secret, jwt.MapClaims{"aud": []string{"x", "demo"}, "exp": soon, "user": "ada"}), 101, ""},
		"nonsense":                {"/genosrtc", "demo", "nonsense", 401, "token"},
		"wrong key":               {"/genosrtc", "demo", hs(strings.ToUpper(secret), demo), 401, "token"},
		"algorithm none":          {"/genosrtc", "demo", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, demo), 401, "token"},
		"another algorithm":       {"/genosrtc", "demo", sign(t, jwt.SigningMethodHS512, []byte(secret), demo), 401, "token"},
		"public key as secret":    {"/rsa", "demo", hs(string(public), demo), 401, "token"},
		"trimmed key as secret":   {"/rsa", "demo", hs(strings.TrimSpace(string(public)), demo), 401, "token"},
		"no exp":                  {"/genosrtc", "demo", hs(secret, jwt.MapClaims{"aud": "demo"}), 401, "token"},
		"no audience":             {"/genosrtc", "demo", hs(secret, jwt.MapClaims{"exp": soon}), 401, "token"},
		"wrong audience":          {"/genosrtc", "demo", hs(secret, jwt.MapClaims{"aud": "demo2", "exp": soon}), 401, "token"},
		"not yet":                 {"/genosrtc", "demo", hs(secret, jwt.MapClaims{"aud": "demo", "exp": soon, "nbf": soon}), 401, "token"},
		"expired":                 {"/genosrtc", "demo", hs(secret, jwt.MapClaims{"aud": "demo", "exp": past}), 401, "token_expired"},
		"rooms is no list":        {"/genosrtc", "demo", hs(secret, jwt.MapClaims{"aud": "demo", "exp": soon, "rooms": "demo"}), 401, "token"},
		"wrong room":              {"/genosrtc", "other", hs(secret, jwt.MapClaims{"aud": "demo", "exp": soon, "rooms": []string{"dem*"}}), 403, "forbidden"},
		"opens a locked room":     {"/genosrtc", "locked", hs(secret, demo), 101, ""},
	} {
		t.Run(name, func(t *testing.T) {
			shown(test.token)
			if _, status := testclient.Dial(t, root+test.path, test.room, bearer(test.token)); status != test.status {
				t.Errorf("by header: status %d, want %d", status, test.status)
			}
			for request, good := range map[string]int{"GET /events": 200, "POST /channels/chat": 202, "POST /tickets": 201} {
				method, at, _ := strings.Cut(request, " ")
				want := test.status
				if test.code == "" {
					want = good
				}
				status, answer := ask(t, method, root+test.path+"/rooms/"+test.room+at, bearer(test.token))
				if status != want || test.code != "" && !strings.Contains(string(answer), `"status":`) {
					t.Errorf("%s: %d %s, want %d", request, status, answer, want)
				}
			}
			session, m := testclient.Greet(t, root+test.path, test.room, nil, testclient.Message{Token: test.token})
			if m.Code != test.code || test.code == "" && m.User != "ada" {
				t.Errorf("by hello: %+v, want %q", m, test.code)
			}
			if test.code != "" {
				if code, reason := session.Ended(); code != 1008 || reason != test.code {
					t.Errorf("closed with %d %q", code, reason)
				}
			}
		})
	}

	t.Run("passwords", func(t *testing.T) {
		for _, test := range []struct{ path, room, password, code string }{
			{"/plain", "locked", "", "password"},
			{"/plain", "locked", "mackerel", "password"},
			{"/plain", "locked", "swordfish", ""},
			{"/genosrtc", "locked", "", "token"},
			{"/genosrtc", "locked", "mackerel", "password"},
			{"/genosrtc", "locked", "swordfish", ""},
			{"/genosrtc", "demo", "", "token"},
			{"/genosrtc", "demo", "swordfish", "token"},
		} {
			if _, m := testclient.Hello(t, root+test.path, test.room, test.password); m.Code != test.code {
				t.Errorf("%+v: %+v", test, m)
			}
			if test.password == "" {
				continue
			}
			header := http.Header{}
			r := http.Request{Header: header}
			r.SetBasicAuth("anybody", test.password)
			secrets = append(secrets, strings.TrimPrefix(header.Get("Authorization"), "Basic "))
			want := 101
			if test.code != "" {
				want = 401
			}
			if _, status := testclient.Dial(t, root+test.path, test.room, header); status != want {
				t.Errorf("%+v as basic authentication: status %d", test, status)
			}
		}
	})

	good := shown(mint(t, admission.Claims{User: "ada"}))
	t.Run("foreign origin", func(t *testing.T) {
		header := bearer(good)
		header.Set("Origin", "https://elsewhere.example")
		if _, status := testclient.Dial(t, c.url, "demo", header); status != 403 {
			t.Errorf("status %d", status)
		}
		for _, request := range []string{"GET /events", "POST /channels/chat", "POST /tickets"} {
			method, at, _ := strings.Cut(request, " ")
			if status, _ := ask(t, method, c.url+"/rooms/demo"+at, header); status != 403 {
				t.Errorf("%s: status %d", request, status)
			}
		}
	})

	t.Run("tickets", func(t *testing.T) {
		ticket := func() string {
			var answer struct{ Ticket string }
			status, body := ask(t, "POST", c.url+"/rooms/demo/tickets", bearer(good))
			if err := json.Unmarshal(body, &answer); err != nil || status != 201 || answer.Ticket == "" {
				t.Fatalf("%d %s", status, body)
			}
			secrets = append(secrets, answer.Ticket)
			return answer.Ticket
		}
		used, other, stream := ticket(), ticket(), ticket()
		for i, want := range []int{200, 401} {
			if status, _ := ask(t, "GET", c.url+"/rooms/demo/events?channel=chat&ticket="+stream, nil); status != want {
				t.Errorf("events by a ticket, use %d: status %d", i, status)
			}
		}
		if _, m := testclient.GreetAt(t, testclient.WebSocketURL(c.url)+"/rooms/demo/ws?ticket="+used, testclient.Message{}); m.User != "ada" {
			t.Errorf("by a ticket: %+v", m)
		}
		for _, at := range []string{"/rooms/demo/ws?ticket=" + used, "/rooms/other/ws?ticket=" + other, "/rooms/demo/ws?ticket=" + other, "/rooms/demo/ws?ticket=mackerel"} {
			if _, status := testclient.DialAt(t, testclient.WebSocketURL(c.url)+at, nil); status != 401 {
				t.Errorf("%s: status %d", at, status)
			}
		}
	})

	t.Run("channels", func(t *testing.T) {
		mute := shown(mint(t, admission.Claims{User: "bob", Publish: []string{}}))
		deaf := shown(mint(t, admission.Claims{User: "eve", Subscribe: []string{"not-chat"}}))
		greet := func(token string) *testclient.Client {
			s, m := testclient.Greet(t, c.url, "demo", nil, testclient.Message{Token: token})
			if m.Op != "welcome" {
				t.Fatalf("%+v", m)
			}
			secrets = append(secrets, m.Resume)
			return s
		}
		ada, bob, eve := greet(good), greet(mute), greet(deaf)
		if status, _ := ask(t, "POST", c.url+"/rooms/demo/channels/chat", bearer(mute)); status != 403 {
			t.Errorf("bob posts: status %d", status)
		}
		if status, _ := ask(t, "GET", c.url+"/rooms/demo/events?channel=chat", bearer(deaf)); status != 403 {
			t.Errorf("eve reads: status %d", status)
		}
		bob.Refused("not heard", "forbidden")
		ada.Say("everybody but eve hears it", bob)
		ada.SayOn("not-chat", "eve hears it", eve)
	})

	t.Run("expires", func(t *testing.T) {
		token := shown(mint(t, admission.Claims{Expires: time.Now().Add(2*time.Second - admission.Leeway)}))
		session, m := testclient.Greet(t, c.url, "demo", nil, testclient.Message{Token: token})
		secrets = append(secrets, m.Resume)
		if code, reason := session.Ended(); code != 4001 || reason != "token_expired" {
			t.Errorf("ended with %d %q", code, reason)
		}
		for _, hello := range []testclient.Message{{Resume: m.Resume}, {Resume: m.Resume, Token: token}, {Resume: m.Resume, Password: "mackerel"}} {
			if _, m := testclient.Greet(t, c.url, "demo", nil, hello); m.Op != "error" {
				t.Errorf("resumed without a valid token: %+v", m)
			}
		}
		if _, again := testclient.Greet(t, c.url, "demo", nil, testclient.Message{Resume: m.Resume, Token: good}); !again.Resumed || again.Peer != m.Peer {
			t.Errorf("not resumed with a fresh token: %+v", again)
		}
	})

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{accessLog, log} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if file == accessLog && !strings.Contains(string(content), "ticket=REDACTED") || !strings.Contains(string(content), `"msg":"`) {
			t.Errorf("the log has not what it should:\n%s", content)
		}
		for _, s := range secrets {
			if s == "" || strings.Contains(string(content), s) {
				t.Errorf("%q is in a log", s)
			}
		}
	}
}

// Whom Caddy has authenticated is let in, by his name.
func TestCaddyAuthentication(t *testing.T) {
	c := newCaddy(t)
	c.load("@ada header X-Login ada\nrequest_header @ada Remote-User ada\nbasic_auth /genosrtc/* {\nada $2a$04$9pYPKF1w5cG6NonJKrBv4u2ATvn.Cq6HcGv28kiAipiMTmHHrN9Km\n}\n" +
		"genosrtc {\nroom demo\nauth caddy\n}\ngenosrtc /forwarded {\nroom demo\nauth caddy {header.Remote-User}\n}")
	header := http.Header{}
	r := http.Request{Header: header}
	r.SetBasicAuth("ada", "swordfish")
	if _, m := testclient.Greet(t, c.url, "demo", header, testclient.Message{}); m.User != "ada" {
		t.Errorf("%+v", m)
	}
	if _, status := testclient.Dial(t, c.url, "demo", nil); status != 401 {
		t.Errorf("status %d", status)
	}
	forwarded := strings.TrimSuffix(c.url, "/genosrtc") + "/forwarded"
	if _, m := testclient.Greet(t, forwarded, "demo", http.Header{"X-Login": {"ada"}}, testclient.Message{}); m.User != "ada" {
		t.Errorf("%+v", m)
	}
	if _, m := testclient.Hello(t, forwarded, "demo", ""); m.Code != "token" {
		t.Errorf("%+v", m)
	}
}
