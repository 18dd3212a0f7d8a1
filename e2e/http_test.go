package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

var web = &http.Client{
	Timeout:   15 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// answer is an HTTP answer, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is an error answer of a gateway.
type problem struct {
	Detail, Code, Outcome string
}

func (a answer) problem() problem {
	var p problem
	_ = json.Unmarshal(a.body, &p) // what is no problem document has no outcome
	return p
}

func get(url string) (answer, error) { return send(http.MethodGet, url, nil) }

func send(method, url string, body []byte) (answer, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	resp, err := web.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, content}, err
}

func keyURL(gateway, key string) string { return gateway + "/v1/kv/" + url.PathEscape(key) }

// put stores a value; with no error it was acknowledged.
func put(gateway, key, value string) error {
	a, err := send(http.MethodPut, keyURL(gateway, key), []byte(value))
	if err != nil {
		return err
	}
	if a.status != http.StatusCreated && a.status != http.StatusNoContent {
		return fmt.Errorf("put %s: %d %s", key, a.status, a.body)
	}
	return nil
}

// read returns the value of a key. found is false if there certainly is none.
func read(gateway, key string) (value string, found bool, err error) {
	a, err := get(keyURL(gateway, key))
	switch {
	case err != nil:
		return "", false, err
	case a.status == http.StatusOK:
		return string(a.body), true, nil
	case a.status == http.StatusNotFound && a.problem().Code != "":
		return "", false, nil
	}
	return "", false, fmt.Errorf("get %s: %d %s", key, a.status, a.body)
}
