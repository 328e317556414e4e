package demo

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"lvsnat/test/lab"
)

// vipAddress is the virtual service of the demonstration.
var vipAddress = lab.VIP.String() + ":80"

// connect makes one connection from the client, asks for a page and returns
// the client's end and the realserver's answer, which is its name.
func (s *stage) connect(ctx context.Context) (client netip.AddrPort, realserver string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	c, err := s.net.Client.DialContext(ctx, "tcp4", vipAddress)
	if err != nil {
		return client, "", err
	}
	defer c.Close()
	client = c.LocalAddr().(*net.TCPAddr).AddrPort()
	realserver, err = ask(ctx, c)
	return client, realserver, err
}

// ask gets a page over a connection and returns its text.
func ask(ctx context.Context, c net.Conn) (string, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+vipAddress+"/", nil)
	if err != nil {
		return "", err
	}
	request.Close = true
	if err := request.Write(c); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return strings.TrimSpace(string(text)), err
}
