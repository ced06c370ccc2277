{{- /* What things are called, and what they are known by. Each takes the root, or (dict "root" $ "program" NAME). */ -}}

{{- /* Of 44 characters at most: a CronJob's name may have 52 ("-rebuild"), a Service's 63 ("-aggregator-metrics"). */ -}}
{{- define "ses-metrics.fullname" -}}
{{- if contains "ses-metrics" .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-ses-metrics" .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ses-metrics.selector" -}}
app.kubernetes.io/name: ses-metrics
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .program }}
{{- end -}}

{{- define "ses-metrics.labels" -}}
app.kubernetes.io/name: ses-metrics
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "ses-metrics.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The names of the programs that are to be there, as a YAML list. A switch that a program lacks is on. */ -}}
{{- define "ses-metrics.enabled" -}}
{{- $enabled := list -}}
{{- range $program, $facts := (.Files.Get "files/programs.yaml" | fromYaml).programs -}}
{{- $own := index $.Values $program -}}
{{- if or (not (hasKey $own "enabled")) $own.enabled -}}
{{- $enabled = append $enabled $program -}}
{{- end -}}
{{- end -}}
{{- toYaml $enabled -}}
{{- end -}}
