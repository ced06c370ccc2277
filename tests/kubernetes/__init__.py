"""`make kubernetes`: the Helm chart on a real kube-apiserver.

There is no kubelet and no controller, so no pod runs. What is proved is that Kubernetes takes every manifest
as it stands, by server-side apply with strict fields, that it admits a pod of every template into a namespace
which enforces PodSecurity's `restricted`, that helm installs, upgrades, rolls back and removes the chart
there, and that faults which are planted in the manifests are refused.

`binaries` builds the two servers, `cluster` starts them and speaks to them, `faults` has what is planted, and
`release` what helm does.
"""
