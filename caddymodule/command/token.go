package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/admission"
)

func tokenCommand() *cobra.Command {
	m := minter{algorithm: "HS256"}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Makes a token that opens rooms",
		Long: `
Makes a token (JWT, RFC 7519) for the clients of a server whose directive says
auth jwt, and prints it alone on standard output. Algorithm, key and audience
are those of the directive; for RS*, ES* and EdDSA the key is here the private
one, in PEM.

The key is taken from --key-file, from GENOSRTC_KEY, or from --key, which others
on the machine can see. A line break at the end of the file does not count.

Rooms and channels are patterns as of the shell: my-*, chat, *. Without --room,
--publish or --subscribe all are meant; an empty one ("") means none.`,
		Example: `  export GENOSRTC_KEY=$(openssl rand -hex 32)
  caddy genosrtc token --audience my-app --user ada --expires 24h
  caddy genosrtc token --audience my-app --room 'public-*' --publish "" --expires 720h
  GENOSRTC_TOKEN=$(caddy genosrtc token --audience my-app --expires 1h) caddy genosrtc join
  caddy genosrtc token --algorithm EdDSA --key-file private.pem --audience my-app`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&m.key, "key", "", "the key; better in GENOSRTC_KEY or --key-file")
	f.StringVar(&m.keyFile, "key-file", "", "the file with the key")
	f.StringVar(&m.algorithm, "algorithm", m.algorithm, strings.Join(admission.Algorithms, ", "))
	f.StringVar(&m.audience, "audience", "", "whom the token is for, as the directive's audience")
	f.StringVar(&m.user, "user", "", "who its bearer is for the application")
	f.StringSliceVar(&m.rooms, "room", nil, "rooms that it opens (default all)")
	f.StringSliceVar(&m.publish, "publish", nil, "channels on which its bearer may send (default all)")
	f.StringSliceVar(&m.subscribe, "subscribe", nil, "channels of which its bearer hears (default all)")
	f.DurationVar(&m.expires, "expires", time.Hour, "how long it is valid")
	cmd.RunE = action(func(context.Context, []string) error {
		for name, list := range map[string]*[]string{"room": &m.rooms, "publish": &m.publish, "subscribe": &m.subscribe} {
			if f.Changed(name) && len(*list) == 0 {
				*list = []string{} // none, where nil would be all
			}
		}
		token, err := m.mint()
		if err == nil {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		}
		return err
	})
	return cmd
}

// minter is a run of the command token.
type minter struct {
	key, keyFile, algorithm   string
	audience, user            string
	rooms, publish, subscribe []string
	expires                   time.Duration
}

func (m *minter) mint() (string, error) {
	if m.expires <= 0 {
		return "", fmt.Errorf("--expires %v: the token would never be valid", m.expires)
	}
	key := []byte(cmp.Or(m.key, os.Getenv("GENOSRTC_KEY")))
	if m.keyFile != "" {
		text, err := os.ReadFile(m.keyFile)
		if err != nil {
			return "", fmt.Errorf("the key: %w", err)
		}
		key = bytes.TrimRight(text, "\r\n")
	}
	if len(key) == 0 {
		return "", errors.New("there is no key: give --key-file, or GENOSRTC_KEY in the environment")
	}
	return admission.Mint(
		admission.Config{Algorithm: m.algorithm, Key: key, Audience: m.audience},
		admission.Claims{User: m.user, Rooms: m.rooms, Publish: m.publish, Subscribe: m.subscribe, Expires: time.Now().Add(m.expires)},
	)
}
