// Makes tests/sandbox/go-pem-golden.json anew: reads its cases and prints them with what Go's encoding/pem makes of each
// input. `go run go_pem_golden.go <go-pem-golden.json >new.json`; Go 1.21.13 and 1.26.4 printed the same.
package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
)

type block struct {
	Type    string            `json:"type"`
	Headers map[string]string `json:"headers"`
	Bytes   []byte            `json:"bytes"`
	Rest    []byte            `json:"rest"`
}

type golden struct {
	Name  string `json:"name"`
	Input []byte `json:"input"`
	Block *block `json:"block"`
}

func main() {
	var cases []golden
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	separator := "[\n "
	for _, each := range cases {
		found, rest := pem.Decode(each.Input)
		each.Block = nil
		if found != nil {
			each.Block = &block{found.Type, found.Headers, found.Bytes, append([]byte{}, rest...)}
		}
		line, err := json.Marshal(each)
		if err != nil {
			panic(err)
		}
		fmt.Print(separator, string(line))
		separator = ",\n "
	}
	fmt.Println("\n]")
}
