package rtc

import (
	"net"
	"testing"
)

func TestAddressesAtInterfaces(t *testing.T) {
	for _, test := range []struct {
		chosen string
		want   string
	}{
		{"127.0.0.0/8", "127.0.0.1"}, {"127.0.0.1/32", "127.0.0.1"},
		{"no-such-interface", ""}, {"240.0.0.0/8", ""}, {"127.0.0.2/32", ""},
	} {
		ips, err := localIPs([]string{test.chosen})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, ip := range ips {
			if !ip.IsLoopback() {
				t.Errorf("%s: %v is elsewhere", test.chosen, ip)
			}
			found = found || ip.Equal(net.ParseIP(test.want))
		}
		if found != (test.want != "") {
			t.Errorf("%s: got %v", test.chosen, ips)
		}
	}
}
