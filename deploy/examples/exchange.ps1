# Exchange Server (2016, 2019, Subscription Edition): run in the Exchange Management Shell.
#   on the relay:  smarthost user add exchange --mail-server --sender '@example.org'
# `smarthost exchange` prints the first command with your names in it.
# Exchange speaks STARTTLS only, so the port is 587, and it logs in with AUTH LOGIN. BasicAuthRequireTLS and
# DomainValidation want a certificate that is valid for exactly the name in -SmartHosts.
New-SendConnector -Name 'Relay relay.example.net' -Custom -AddressSpaces '*' -DNSRoutingEnabled $false `
  -SmartHosts 'relay.example.net' -Port 587 `
  -SmartHostAuthMechanism BasicAuthRequireTLS -AuthenticationCredential (Get-Credential) `
  -RequireTLS $true -TlsAuthLevel DomainValidation -TlsDomain 'relay.example.net' `
  -Fqdn (Read-Host "Host name of this Exchange server") -ProtocolLoggingLevel Verbose

# More than one Mailbox server: name those that may send through it.
# Set-SendConnector 'Relay relay.example.net' -SourceTransportServers EX01,EX02

# To check it, send a message out. Is it waiting, and what did the relay answer?
# Get-Queue | Where-Object MessageCount -gt 0 | Format-List Identity,MessageCount,NextHopDomain,LastError
# The log with every line of the conversation with the relay is in this folder:
# Get-TransportService | Format-List Name,SendProtocolLogPath
# What happened to the message, on the relay:  smarthost trace ADDRESS
