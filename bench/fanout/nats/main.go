// Command nats is nats-server with its WebSocket listener and its defaults, for
// the benchmark in the folder above.
//
//	nats <port>
package main

import (
	"log"
	"os"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	options := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true}
	options.Websocket.Host, options.Websocket.Port, options.Websocket.NoTLS = "127.0.0.1", port, true
	s, err := server.NewServer(options)
	if err != nil {
		log.Fatal(err)
	}
	s.Start()
	s.WaitForShutdown()
}
