package cache

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
)

// sealer marks what the nodes of this installation write into Redis, since
// others may write there, too. A seal is an HMAC-SHA-256 with a key that only
// the nodes have, over the text, its purpose and its place, so that no text
// passes for another one.
type sealer struct {
	key func() []byte // returns nothing until the key is known; then nothing passes
}

const sealSize = 43 // of SHA-256, in base64

var errNoKey = errors.New("nothing can be said to the other nodes yet: the key for it has not been read")

// newMAC returns what [macOf] computes with.
func (s sealer) newMAC() hash.Hash { return hmac.New(sha256.New, s.key()) }

// sum is [macOf] for one text.
func (s sealer) sum(purpose, place, text string) []byte {
	return macOf(s.newMAC(), purpose, place, text)
}

// macOf returns the MAC of a text for a purpose, at a place such as a key's
// name.
func macOf(mac hash.Hash, purpose, place, text string) []byte {
	mac.Reset()
	all := make([]byte, 0, 8+len(purpose)+len(place)+len(text)+sha256.Size)
	for _, part := range []string{purpose, place} {
		all = append(binary.BigEndian.AppendUint32(all, uint32(len(part))), part...)
	}
	all = append(all, text...)
	mac.Write(all)
	return mac.Sum(all[:0])
}

// seal returns text with its seal before it.
func (s sealer) seal(purpose, place, text string) (string, error) {
	seal, err := s.sealing(purpose)
	if err != nil {
		return "", err
	}
	return seal(place, text), nil
}

// sealing returns what seals many texts of one purpose, one after the other.
func (s sealer) sealing(purpose string) (seal func(place, text string) string, err error) {
	if len(s.key()) == 0 {
		return nil, errNoKey
	}
	mac := s.newMAC()
	return func(place, text string) string {
		return base64.RawURLEncoding.EncodeToString(macOf(mac, purpose, place, text)) + "." + text
	}, nil
}

// unseal returns the text of what seal returned, and false for anything else.
func (s sealer) unseal(purpose, place, sealed string) (text string, ok bool) {
	if len(sealed) <= sealSize || sealed[sealSize] != '.' || len(s.key()) == 0 {
		return "", false
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(sealed[:sealSize])
	text = sealed[sealSize+1:]
	return text, err == nil && hmac.Equal(mac, s.sum(purpose, place, text))
}

// sealedNotifier is a notifier whose messages carry a seal. It drops those
// without one, or with a wrong one, and logs nothing: whoever may publish in
// Redis could fill the log.
type sealedNotifier struct {
	notifier
	sealer
	prefix string
}

func (n *sealedNotifier) place(channel Channel) string { return n.prefix + string(channel) }

func (n *sealedNotifier) publish(ctx context.Context, channel Channel, msg []byte) error {
	sealed, err := n.seal("message", n.place(channel), string(msg))
	if err != nil {
		return fmt.Errorf("message for %s: %w", channel, err)
	}
	return n.notifier.publish(ctx, channel, []byte(sealed))
}

func (n *sealedNotifier) subscribe(ctx context.Context, channel Channel, onMessage func([]byte), onGap func()) error {
	return n.notifier.subscribe(ctx, channel, func(sealed []byte) {
		if len(sealed) > maxMessage+sealSize+1 {
			return
		}
		if msg, ok := n.unseal("message", n.place(channel), string(sealed)); ok {
			onMessage([]byte(msg))
		}
	}, onGap)
}
