// Kubenode is every Kubernetes binary that one machine needs, in one executable.
//
// The first argument chooses the program: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, kube-proxy, kubelet or kubectl. One
// binary shares one copy of the Kubernetes libraries: 130 MB instead of 600.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var programs = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kubenode PROGRAM [ARGUMENT ...]")
		os.Exit(2)
	}
	if os.Args[1] == "etcd" { // its main expects itself as the first argument
		etcdmain.Main(os.Args[1:])
		return
	}
	program, known := programs[os.Args[1]]
	if !known {
		fmt.Fprintf(os.Stderr, "kubenode: no program %q\n", os.Args[1])
		os.Exit(2)
	}
	os.Args = os.Args[1:]
	os.Exit(cli.Run(program()))
}
