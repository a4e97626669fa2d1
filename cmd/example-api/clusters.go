package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

const maxClusters = 1000

// cluster is the resource that this API manages.
type cluster struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"`
}

// clusters keeps all clusters in memory.
type clusters struct {
	mu   sync.Mutex
	last int
	byID map[string]*cluster
}

func newClusters() *clusters {
	return &clusters{last: 1, byID: map[string]*cluster{"1": {ID: "1", Name: "demo", State: "running"}}}
}

func (c *clusters) list(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []*cluster{}
	for i := 1; i <= c.last; i++ {
		if one := c.byID[strconv.Itoa(i)]; one != nil {
			all = append(all, one)
		}
	}
	answer(w, http.StatusOK, map[string]any{"clusters": all})
}

func (c *clusters) create(w http.ResponseWriter, r *http.Request) {
	var wanted struct{ Name string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&wanted)
	if err != nil || wanted.Name == "" || len(wanted.Name) > 64 {
		refuse(w, http.StatusUnprocessableEntity,
			`expected a JSON body such as {"name":"east"}, the name 1 to 64 bytes`)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) >= maxClusters {
		refuse(w, http.StatusConflict, "there are too many clusters; release one first")
		return
	}
	c.last++
	made := &cluster{ID: strconv.Itoa(c.last), Name: wanted.Name, State: "running"}
	c.byID[made.ID] = made
	answer(w, http.StatusCreated, made)
}

func (c *clusters) set(state string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		one := c.byID[r.PathValue("id")]
		if one == nil {
			refuse(w, http.StatusNotFound, "there is no cluster with this id")
			return
		}
		one.State = state
		answer(w, http.StatusOK, one)
	}
}

func (c *clusters) remove(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[r.PathValue("id")] == nil {
		refuse(w, http.StatusNotFound, "there is no cluster with this id")
		return
	}
	delete(c.byID, r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
}

func refuse(w http.ResponseWriter, status int, problem string) {
	answer(w, status, map[string]string{"error": problem})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
