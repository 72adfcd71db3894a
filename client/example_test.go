package client_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// A program that answers what it is told, and keeps the files that it is sent.
func Example() {
	ctx := context.Background()
	room, err := client.Dial(ctx, "wss://example.com/genosrtc", "my-app", client.Options{
		Accept: func(in client.Incoming) (client.Sink, error) {
			f, err := os.OpenFile(filepath.Join("files", fmt.Sprintf("%s-%d", in.From, in.ID)), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				return client.Sink{}, err
			}
			have, err := f.Stat() // where an earlier process ended
			if err != nil {
				return client.Sink{}, err
			}
			return client.Sink{Store: f, Offset: have.Size(), Done: func(err error) {
				log.Println("file", f.Name(), err)
				f.Close()
			}}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer room.Close()
	for {
		m, err := room.Receive(ctx) // and the message before is acknowledged
		if err != nil {
			log.Fatal(err)
		}
		if _, err := room.Send(ctx, m.Channel, m.Data, client.To(m.From)); err != nil {
			log.Fatal(err)
		}
	}
}
