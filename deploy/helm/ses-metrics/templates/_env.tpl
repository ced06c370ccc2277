{{- /*
The environment of a program's container. Takes (dict "root" $ "program" NAME).

Settings of values reach only the programs that know them; a name that no program knows, or a required one that is
set nowhere, ends the rendering. Ports and paths of files are the chart's own: the value that a Service adds by itself to
pods of its namespace (API_PORT=tcp://...) would be refused by the programs, so `enableServiceLinks` is false too.
*/ -}}
{{- define "ses-metrics.env" -}}
{{- $root := .root -}}
{{- $table := $root.Files.Get "files/programs.yaml" | fromYaml -}}
{{- $facts := index $table.programs .program -}}
{{- $own := index $root.Values .program -}}
{{- $known := include "ses-metrics.known" (dict "table" $table "facts" $facts) | fromYamlArray -}}
{{- $all := list -}}
{{- range $table.programs -}}
{{- $all = concat $all (include "ses-metrics.known" (dict "table" $table "facts" .) | fromYamlArray) -}}
{{- end -}}
{{- range $given := list $root.Values.settings $root.Values.secrets -}}
{{- range $name, $_ := $given -}}
{{- if not (has $name $all) -}}{{- fail (printf "%s is no setting of any program" $name) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $given := list $own.settings $own.secrets -}}
{{- range $name, $_ := $given -}}
{{- if not (has $name $known) -}}{{- fail (printf "%s is no setting of %s" $name $.program) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $fixed := include "ses-metrics.fixed" . | fromYaml -}}
{{- range $name, $value := $fixed }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name := $known -}}
{{- if not (hasKey $fixed $name) -}}
{{- $secret := index $own.secrets $name -}}
{{- $value := index $own.settings $name -}}
{{- if not (or $secret $value) -}}
{{- $secret = index $root.Values.secrets $name -}}
{{- $value = index $root.Values.settings $name -}}
{{- end -}}
{{- if $secret }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {{ toJson $secret }}
{{- else if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- else if has $name $facts.required -}}
{{- fail (printf "%s is not set, which %s requires: settings.%s, or secrets.%s for a Secret of yours" $name $.program $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The settings that a program may be given, as a YAML list. Takes (dict "table" ALL "facts" ITS). */ -}}
{{- define "ses-metrics.known" -}}
{{- $known := concat .facts.required (.facts.optional | default list) -}}
{{- range .facts.groups -}}
{{- $known = concat $known (index $.table.groups .) -}}
{{- end -}}
{{- $known | uniq | sortAlpha | toYaml -}}
{{- end -}}

{{- /* What the chart sets by itself: ports, and where it mounts files. A YAML map. */ -}}
{{- define "ses-metrics.fixed" -}}
{{- $facts := index (.root.Files.Get "files/programs.yaml" | fromYaml).programs .program -}}
{{- $fixed := dict -}}
{{- range $port := list $facts.http $facts.metrics -}}
{{- with $port -}}{{- $_ := set $fixed .setting (toString .port) -}}{{- end -}}
{{- end -}}
{{- range $server := list "kafka" "redis" -}}
{{- $tls := index $.root.Values.tls $server -}}
{{- if and $tls.secret (has $server $facts.reaches) -}}
{{- range $what := list "ca" "certificate" "key" -}}
{{- with index $tls $what -}}
{{- $_ := set $fixed (printf "%s_SSL_%s_LOCATION" (upper $server) (upper $what)) (printf "/etc/ses-metrics/%s/%s" $server .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq .program "ingest") .root.Values.ingest.certificates.configMap -}}
{{- $_ := set $fixed "SNS_CERTIFICATE_DIR" "/etc/ses-metrics/sns" -}}
{{- end -}}
{{- if and (include "ses-metrics.archive.used" .) (include "ses-metrics.archive.claim" .root) -}}
{{- $_ := set $fixed "ARCHIVE_URL" "file:///var/lib/ses-metrics/archive" -}}
{{- end -}}
{{- toYaml $fixed -}}
{{- end -}}

{{- /* Whether there is an archive, and the program knows it: text, empty for no. */ -}}
{{- define "ses-metrics.archive.used" -}}
{{- $table := .root.Files.Get "files/programs.yaml" | fromYaml -}}
{{- $known := include "ses-metrics.known" (dict "table" $table "facts" (index $table.programs .program)) | fromYamlArray -}}
{{- if and .root.Values.archive.enabled (has "ARCHIVE_URL" $known) -}}yes{{- end -}}
{{- end -}}

{{- /* The name of the archive's claim; empty where it is no volume. */ -}}
{{- define "ses-metrics.archive.claim" -}}
{{- with .Values.archive.volume -}}
{{- if .existingClaim -}}
{{- .existingClaim -}}
{{- else if .size -}}
{{- include "ses-metrics.fullname" $ }}-archive
{{- end -}}
{{- end -}}
{{- end -}}
