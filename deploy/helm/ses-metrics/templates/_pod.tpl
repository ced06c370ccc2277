{{- /*
The template of a program's pod: labels and spec, within PodSecurity's `restricted`. Takes (dict "root" $ "program" NAME).
*/ -}}
{{- define "ses-metrics.pod" -}}
{{- $root := .root -}}
{{- $facts := index ($root.Files.Get "files/programs.yaml" | fromYaml).programs .program -}}
{{- $own := index $root.Values .program -}}
{{- $serves := eq $facts.kind "deployment" -}}
{{- $archive := include "ses-metrics.archive.used" . -}}
{{- $claim := include "ses-metrics.archive.claim" $root -}}
metadata:
  labels:
    {{- include "ses-metrics.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .program }}
  {{- with $root.Values.pods.annotations }}
  annotations: {{ toJson . }}
  {{- end }}
spec:
  {{- if ne $facts.kind "hook" }}
  serviceAccountName: {{ include "ses-metrics.fullname" $root }}{{ if $archive }}-archive{{ end }}
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  restartPolicy: {{ if $serves }}Always{{ else }}Never{{ end }}
  terminationGracePeriodSeconds: {{ include "ses-metrics.stop" . }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{ toJson . }}
  {{- end }}
  {{- with $root.Values.pods.nodeSelector }}
  nodeSelector: {{ toJson . }}
  {{- end }}
  {{- with $root.Values.pods.tolerations }}
  tolerations: {{ toJson . }}
  {{- end }}
  {{- if $serves }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "ses-metrics.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .program }}
      image: {{ include "ses-metrics.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: {{ toJson $facts.command }}
      {{- if and (eq .program "archive") $own.trimDays }}
      args: [--trim-days, {{ int $own.trimDays | quote }}]
      {{- end }}
      env:
        {{- include "ses-metrics.env" . | trim | nindent 8 }}
      {{- with $own.envFrom }}
      envFrom: {{ toJson . }}
      {{- end }}
      {{- if $serves }}
      ports:
        {{- range $name := list "http" "metrics" }}
        {{- with index $facts $name }}
        - {name: {{ $name }}, containerPort: {{ .port }}}
        {{- end }}
        {{- end }}
      {{- $asked := ternary "http" "metrics" (hasKey $facts "http") }}
      startupProbe:
        httpGet: {path: {{ $facts.startup }}, port: {{ $asked }}}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: {{ $facts.liveness }}, port: {{ $asked }}}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: {{ $facts.readiness }}, port: {{ $asked }}}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- end }}
      resources: {{ toJson $own.resources }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- range $server := list "kafka" "redis" }}
        {{- if and (index $root.Values.tls $server).secret (has $server $facts.reaches) }}
        - {name: {{ $server }}-tls, mountPath: /etc/ses-metrics/{{ $server }}, readOnly: true}
        {{- end }}
        {{- end }}
        {{- if and (eq .program "ingest") $own.certificates.configMap }}
        - {name: sns, mountPath: /etc/ses-metrics/sns, readOnly: true}
        {{- end }}
        {{- if and $archive $claim }}
        - {name: archive, mountPath: /var/lib/ses-metrics/archive{{ if ne .program "archive" }}, readOnly: true{{ end }}}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: {{ $facts.tmp }}}
    {{- range $server := list "kafka" "redis" }}
    {{- $tls := index $root.Values.tls $server }}
    {{- if and $tls.secret (has $server $facts.reaches) }}
    - name: {{ $server }}-tls
      secret: {secretName: {{ $tls.secret }}, defaultMode: 0440}
    {{- end }}
    {{- end }}
    {{- if and (eq .program "ingest") $own.certificates.configMap }}
    - name: sns
      configMap: {name: {{ $own.certificates.configMap }}}
    {{- end }}
    {{- if and $archive $claim }}
    - name: archive
      persistentVolumeClaim: {claimName: {{ $claim }}}
    {{- end }}
{{- end -}}

{{- /* How long a pod may take to end: what its program takes at most, and for how long it still listens before that. */ -}}
{{- define "ses-metrics.stop" -}}
{{- $facts := index (.root.Files.Get "files/programs.yaml" | fromYaml).programs .program -}}
{{- $grace := 0 -}}
{{- if has "SHUTDOWN_GRACE_S" ($facts.optional | default list) -}}
{{- $own := index .root.Values .program -}}
{{- $grace = $own.settings.SHUTDOWN_GRACE_S | default .root.Values.settings.SHUTDOWN_GRACE_S | default "5" | float64 | ceil | int -}}
{{- end -}}
{{- add $facts.stop $grace -}}
{{- end -}}
