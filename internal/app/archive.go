package app

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/svcauth/svcauth/internal/keyring"
)

// An archive is a line that says what it is, then frames. A frame is a length
// of four bytes, and so many bytes sealed under the master key. It is sealed
// under a name of the archive's id, its index and whether it is the last, so
// that no frame can be taken out, moved, or missing at the end.
const (
	archiveTitle = "svcauth backup 1 "
	archiveFrame = 256 << 10
)

var (
	errNoArchive  = errors.New("this is no backup that svcauth made")
	errTornSealed = errors.New("the backup is damaged or not whole; use another copy of it")
)

func frameName(id string, index uint64, last bool) string {
	return fmt.Sprintf("backup/%s/%d/%t", id, index, last)
}

// sealer seals frame by frame what is written to it.
type sealer struct {
	out     io.Writer
	keyring *keyring.Keyring
	id      string
	index   uint64
	pending []byte
}

func newSealer(out io.Writer, k *keyring.Keyring) (*sealer, error) {
	var id [16]byte
	_, _ = rand.Read(id[:])
	s := &sealer{out: out, keyring: k, id: hex.EncodeToString(id[:])}
	_, err := io.WriteString(out, archiveTitle+s.id+"\n")
	return s, err
}

func (s *sealer) Write(p []byte) (int, error) {
	s.pending = append(s.pending, p...)
	for len(s.pending) > archiveFrame {
		if err := s.frame(s.pending[:archiveFrame], false); err != nil {
			return 0, err
		}
		s.pending = append(s.pending[:0], s.pending[archiveFrame:]...)
	}
	return len(p), nil
}

func (s *sealer) frame(plain []byte, last bool) error {
	sealed := s.keyring.Seal(frameName(s.id, s.index, last), plain)
	s.index++
	if _, err := s.out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(sealed)))); err != nil {
		return err
	}
	_, err := s.out.Write(sealed)
	return err
}

// Close writes the last frame. It does not close the writer beneath.
func (s *sealer) Close() error { return s.frame(s.pending, true) }

// opener reads what a sealer wrote.
type opener struct {
	in      *bufio.Reader
	keyring *keyring.Keyring
	id      string
	index   uint64
	plain   []byte
	ended   bool
}

func newOpener(in io.Reader, k *keyring.Keyring) (*opener, error) {
	o := &opener{in: bufio.NewReader(in), keyring: k}
	title := make([]byte, len(archiveTitle)+33)
	if _, err := io.ReadFull(o.in, title); err != nil {
		return nil, errNoArchive
	}
	id, isArchive := strings.CutPrefix(string(title), archiveTitle)
	id, wholeLine := strings.CutSuffix(id, "\n")
	if !isArchive || !wholeLine {
		return nil, errNoArchive
	}
	o.id = id
	return o, nil
}

func (o *opener) Read(p []byte) (int, error) {
	for len(o.plain) == 0 {
		if o.ended {
			return 0, io.EOF
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, o.plain)
	o.plain = o.plain[n:]
	return n, nil
}

func (o *opener) next() error {
	var size [4]byte
	if _, err := io.ReadFull(o.in, size[:]); err != nil {
		return errTornSealed
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 2*archiveFrame {
		return errTornSealed
	}
	sealed := make([]byte, n)
	if _, err := io.ReadFull(o.in, sealed); err != nil {
		return errTornSealed
	}
	plain, err := o.keyring.Open(frameName(o.id, o.index, false), sealed)
	if errors.Is(err, keyring.ErrDamaged) {
		if plain, err = o.keyring.Open(frameName(o.id, o.index, true), sealed); err == nil {
			o.ended = true
			if _, more := o.in.ReadByte(); more == nil {
				return errTornSealed
			}
		}
	}
	switch {
	case errors.Is(err, keyring.ErrOtherMasterKey):
		return fmt.Errorf("the backup was %w; configure the one that it was made with (master_key_file or master_key)",
			err)
	case err != nil:
		return errTornSealed
	}
	o.index++
	o.plain = plain
	return nil
}
