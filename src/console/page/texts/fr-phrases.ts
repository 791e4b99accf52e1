/** What the relay says of itself in whole sentences, in French: what the doctor finds, what the DNS says of a domain or a host, and why a host gets mail. */
import { FR_DNS_PHRASES } from './fr-dns-phrases.ts';
import { FR_NAME_PHRASES } from './fr-name-phrases.ts';
import { FR_TOLD_PHRASES } from './fr-told-phrases.ts';

/** By the English pattern. A test finds those of the server that are missing. */
export const FR_PHRASES: Readonly<Record<string, string>> = {
  ...FR_DNS_PHRASES,
  ...FR_NAME_PHRASES,
  ...FR_TOLD_PHRASES,
  closed: 'fermé',
  '{0} of {1}': '{0} de {1}',
  'issued by {0}': 'émis par {0}',
  'No client can submit mail there: look at the log of the relay.':
    'Aucun client ne peut y remettre de courrier : regardez le journal du relais.',
  'a greeting over TLS': 'un accueil par TLS',
  'AUTH {0} is missing: is there a proxy between this command and the relay?':
    'AUTH {0} manque : y a-t-il un mandataire entre cette commande et le relais ?',
  'no names': 'aucun nom',
  '{0}, until {1}, by {2}': '{0}, jusqu’au {1}, par {2}',
  '{0}, from an authority': '{0}, d’une autorité',
  ' Last error: {0}.': ' Dernière erreur : {0}.',
  'It has expired.{0} See: smarthost cert show, smarthost cert renew':
    'Il a expiré.{0} Voir : smarthost cert show, smarthost cert renew',
  'It is not valid yet: is the clock right?': 'Il n’est pas encore valable : l’horloge est-elle juste ?',
  'It does not name {0}: clients that compare names refuse it.{1}':
    'Il ne nomme pas {0} : les clients qui comparent les noms le refusent.{1}',
  'It expires soon.{0} See: smarthost cert show': 'Il expire bientôt.{0} Voir : smarthost cert show',
  'Clients must be set up to trust it: `tls.mode: acme` gets one that they trust already.':
    'Les clients doivent être réglés pour lui faire confiance : `tls.mode: acme` en obtient un auquel ils se fient déjà.',
  'It is the self-signed one for the time until the authority has signed: port 80 must be reachable, and `tls.acme.acceptTerms` must be true.':
    'C’est l’auto-signé, en attendant la signature de l’autorité : le port 80 doit être joignable, et `tls.acme.acceptTerms` valoir true.',
  'It is self-signed: clients refuse it.': 'Il est auto-signé : les clients le refusent.',
  'The chain is not complete: put the intermediate certificates after the leaf (fullchain.pem).':
    'La chaîne n’est pas complète : mettez les certificats intermédiaires après celui du serveur (fullchain.pem).',
  'Clients do not trust it ({0}).': 'Les clients ne lui font pas confiance ({0}).',
  served: 'servi',
  'an RSA certificate for old clients': 'un certificat RSA pour les anciens clients',
  'Clients without ECDSA cannot connect: add an RSA pair.':
    'Les clients sans ECDSA ne peuvent pas se connecter : ajoutez une paire RSA.',
  itself: 'lui-même',
  'an unnamed authority': 'une autorité sans nom',
  'more than {0} free': 'plus de {0} libres',
  'the file system does not tell': 'le système de fichiers ne le dit pas',
  'Check it with df.': 'Vérifiez avec df.',
  'New mail is refused for now with 452 until there is space (`queue.minFree`).':
    'Le nouveau courrier est refusé pour l’instant avec 452, jusqu’à ce qu’il y ait de la place (`queue.minFree`).',
  'Make space, or put `dataDir` on a larger disk.': 'Faites de la place, ou mettez `dataDir` sur un plus grand disque.',
  'a commit that is synced': 'une écriture synchronisée',
  'No mail is accepted while the store fails.': 'Aucun courrier n’est accepté tant que le stockage échoue.',
  'a commit took {0} s': 'une écriture a pris {0} s',
  'The disk is slow or busy: every message waits for it.': 'Le disque est lent ou occupé : chaque message l’attend.',
  'a commit took {0} ms': 'une écriture a pris {0} ms',
  runs: 'tourne',
  'does not run': 'ne tourne pas',
  'Start it, so that listeners and certificate can be checked: smarthost serve':
    'Démarrez-le, pour que les ports et le certificat puissent être vérifiés : smarthost serve',
  '{0} waiting, {1} held, the oldest for {2}': '{0} en attente, {1} retenus, le plus ancien depuis {2}',
  '{0} waiting, {1} held': '{0} en attente, {1} retenus',
  'nothing waits for long': 'rien n’attend longtemps',
  'Held mail waits for you: see smarthost queue list --state held, and send it by smarthost queue release':
    'Du courrier retenu vous attend : voir smarthost queue list --state held, et l’envoyer par smarthost queue release',
  'To see why it waits: smarthost queue list': 'Pour voir pourquoi il attend : smarthost queue list',
  'the main thread, as the setting says': 'le fil principal, selon le réglage',
  '{0} threads, as the setting says': '{0} fils, selon le réglage',
  'the relay does not tell': 'le relais ne le dit pas',
  'Start it with `listen.admin`, so that it can be asked.': 'Démarrez-le avec `listen.admin`, pour qu’il puisse être interrogé.',
  '; ended by a fault and replaced: {0}': ' ; terminés par une faute et remplacés : {0}',
  ', with {0} sessions': ', avec {0} sessions',
  '1 thread answers{0}{1}': '1 fil répond{0}{1}',
  '{0} threads answer{1}{2}': '{0} fils répondent{1}{2}',
  'Restart the relay: the setting `threads` has changed.': 'Redémarrez le relais : le réglage `threads` a changé.',
  'A thread that does not answer is replaced after 30 s: look for threadSilent and threadEnded in the log.':
    'Un fil qui ne répond pas est remplacé après 30 s : cherchez threadSilent et threadEnded dans le journal.',
  'Nothing is lost, but it is our fault: report the lines threadEnded of the log to us.':
    'Rien n’est perdu, mais c’est notre faute : signalez-nous les lignes threadEnded du journal.',
  'the right time': 'l’heure juste',
  'Correct the clock and let a time service keep it (systemd-timesyncd, chrony): signatures and certificates depend on it.':
    'Corrigez l’horloge et laissez un service de temps la tenir (systemd-timesyncd, chrony) : signatures et certificats en dépendent.',
  '{0}, before {1}': '{0}, avant {1}',
  '{0}, {1} s behind {2}': '{0}, en retard de {1} s sur {2}',
  '{0}, {1} s ahead of {2}': '{0}, en avance de {1} s sur {2}',
  '{0}, kept by a time service': '{0}, tenue par un service de temps',
  '{0}, without a time to compare with': '{0}, sans heure à comparer',
  'No server reported its time: compare it yourself.': 'Aucun serveur n’a donné son heure : comparez vous-même.',
  'Let this machine connect to port 443 of other hosts: policies are fetched there.':
    'Laissez cette machine se connecter au port 443 d’autres serveurs : les règles s’y obtiennent.',
  'If this is the only domain, its postmaster must mend it. Else update the root certificates of this machine, and check its clock.':
    'Si c’est le seul domaine, son postmaster doit le réparer. Sinon, mettez à jour les certificats racines de cette machine, et vérifiez son horloge.',
  'The postmaster of that domain must mend it. Mail to the domain is sent as if there were no policy.':
    'Le postmaster de ce domaine doit la réparer. Le courrier du domaine part comme s’il n’y avait pas de règle.',
  off: 'coupé',
  'policies that are obeyed': 'des règles respectées',
  'Set `delivery.mtaSts: on`, so that policies of domains are obeyed.':
    'Réglez `delivery.mtaSts: on`, pour que les règles des domaines soient respectées.',
  'policies that can be fetched': 'des règles qui peuvent s’obtenir',
  'no policy was found to try': 'aucune règle n’a été trouvée pour l’essai',
  'a policy was fetched': 'une règle a été obtenue',
  'Set `delivery.mtaSts: on` when the log shows no failure that you do not expect.':
    'Réglez `delivery.mtaSts: on` quand le journal ne montre pas d’échec inattendu.',
  'audit: policies are only logged': 'audit : les règles sont seulement notées',
  on: 'en marche',
  '{0} of {1} could not be fetched again for days': '{0} sur {1} n’ont pas pu être obtenues à nouveau depuis des jours',
  'They are applied until they expire. `smarthost tls policies list --failing` shows them and the reasons.':
    'Elles s’appliquent jusqu’à leur fin. `smarthost tls policies list --failing` les montre, avec les raisons.',
  'all policies are fetched again each day': 'toutes les règles sont obtenues à nouveau chaque jour',
  'a greeting on port {0}': 'un accueil sur le port {0}',
  'not used (`delivery.ip`)': 'inutilisé (`delivery.ip`)',
  'not used': 'inutilisé',
  'no destination to try': 'aucune destination pour l’essai',
  'Name some in `doctor.destinations`.': 'Nommez-en dans `doctor.destinations`.',
  'no address of {0} was found in the DNS': 'aucune adresse de {0} n’a été trouvée dans le DNS',
  'no address of {0} was found': 'aucune adresse de {0} n’a été trouvée',
  'this machine has no public IPv6 ({0})': 'cette machine n’a pas d’IPv6 public ({0})',
  'IPv6 is not needed': 'IPv6 n’est pas nécessaire',
  'All mail goes to {0}, so it is not needed now. {1}': 'Tout le courrier va à {0}, donc ce n’est pas nécessaire maintenant. {1}',
  '{0} Or set `delivery.ip: v4-only`.': '{0} Ou réglez `delivery.ip: v4-only`.',
  'no answer (timeout)': 'pas de réponse (délai dépassé)',
  'Port 25 is open, but these servers refuse us: read their replies, and see the checks blockList and ptr.':
    'Le port 25 est ouvert, mais ces serveurs nous refusent : lisez leurs réponses, et voyez les examens blockList et ptr.',
  'Your provider most likely blocks outbound port 25: Google Cloud always does, Azure for most subscriptions; AWS, Hetzner and OVH open it on request; DigitalOcean blocks 465 and 587 too. Ask for it, or send through an upstream on port 587 (`routes`).':
    'Votre hébergeur bloque sans doute le port 25 sortant : Google Cloud toujours, Azure pour la plupart des abonnements ; AWS, Hetzner et OVH l’ouvrent sur demande ; DigitalOcean bloque aussi 465 et 587. Demandez-le, ou envoyez par un autre relais sur le port 587 (`routes`).',
  '`delivery.source` names an address that this machine does not have.':
    '`delivery.source` nomme une adresse que cette machine n’a pas.',
  'This machine has no route to the Internet: check its network.':
    'Cette machine n’a pas de route vers Internet : vérifiez son réseau.',
  'Something nearby refuses port 25: check the firewall of this machine and its network.':
    'Quelque chose de proche refuse le port 25 : vérifiez le pare-feu de cette machine et son réseau.',
  'No destination answered: check the firewall and the network, then ask the provider about port 25.':
    'Aucune destination n’a répondu : vérifiez le pare-feu et le réseau, puis demandez à l’hébergeur pour le port 25.',
  'Mail for providers that refuse our address waits for it, and it is tried again at {0}: look at your account there, and at delivery.fallback':
    'Le courrier des fournisseurs qui refusent notre adresse l’attend, et il est réessayé à {0} : regardez votre compte là-bas, et delivery.fallback',
  'takes no mail': 'ne prend pas de courrier',
  'takes no mail: {0}': 'ne prend pas de courrier : {0}',
  'the fallback upstream takes mail': 'le relais de secours prend le courrier',
  'every provider takes mail from here': 'chaque fournisseur prend le courrier d’ici',
  'none refuses our address': 'aucun ne refuse notre adresse',
  'Its mail ({0} recipients) is held, and it is asked again at {1}. smarthost provider show {2} says where a block is reported':
    'Son courrier ({0} destinataires) est retenu, et il est interrogé à nouveau à {1}. smarthost provider show {2} dit où signaler un blocage',
  'refuses our address': 'refuse notre adresse',
  'refuses our address: {0}': 'refuse notre adresse : {0}',
  'no login does what a stolen password does': 'aucun identifiant ne fait ce que fait un mot de passe volé',
  'no mail is held because of its login': 'aucun courrier n’est retenu à cause de son identifiant',
  'smarthost user show {0} says why. If the mail is wanted: smarthost user release {1}{2}. If not, give the login another password, and add --discard':
    'smarthost user show {0} dit pourquoi. Si le courrier est voulu : smarthost user release {1}{2}. Sinon, donnez un autre mot de passe à l’identifiant, et ajoutez --discard',
  'mail for {0} recipients is held since {1}': 'du courrier pour {0} destinataires est retenu depuis {1}',
  'a resolver that validates, and TLSA records that are obeyed': 'un résolveur qui valide, et des enregistrements TLSA respectés',
  'the roots of Node and of the system': 'les racines de Node et du système',
  'each address has a PTR record that matches': 'chaque adresse a un enregistrement PTR qui correspond',
  'reports are signed': 'les rapports sont signés',
  'published, and aligned with the From field': 'publiés, et alignés avec le champ From',
  'none without an end': 'aucune sans fin',
  'signed, and sent': 'signés, et envoyés',
  'nothing to say': 'rien à dire',
  'see {0}': 'voir {0}',
  'TLS 1.3 and 1.2': 'TLS 1.3 et 1.2',
  'mail is sent over IPv6 too, from an address with a PTR record':
    'le courrier part aussi par IPv6, d’une adresse avec un enregistrement PTR',
  'no public IPv6 address': 'aucune adresse IPv6 publique',
  'Mail to hosts that have only IPv6 cannot be sent.': 'Le courrier pour des serveurs qui n’ont qu’IPv6 ne peut pas partir.',
  'see ptr': 'voir ptr',
  'announced to clients': 'annoncé aux clients',
  'Set `submission.requireTls: offer`.': 'Réglez `submission.requireTls: offer`.',
  'a resolver whose answers can be trusted': 'un résolveur dont les réponses sont sûres',
  'TLSA records that are obeyed': 'des enregistrements TLSA respectés',
  'Set `delivery.dane: on`.': 'Réglez `delivery.dane: on`.',
  'not ready': 'pas prêt',
  'See dnssec: TLSA records count only when they are validated.':
    'Voir dnssec : les enregistrements TLSA ne comptent que validés.',
  ready: 'prêt',
  'Set `delivery.dane: on` when the log shows no failure that you do not expect.':
    'Réglez `delivery.dane: on` quand le journal ne montre pas d’échec inattendu.',
  'audit: TLSA records are only logged': 'audit : les enregistrements TLSA sont seulement notés',
  '{0} of Node, {1} of the system': '{0} de Node, {1} du système',
  'Install or update the package ca-certificates: some hosts need a root that Node has dropped.':
    'Installez ou mettez à jour le paquet ca-certificates : certains serveurs demandent une racine que Node a enlevée.',
  '{0}, without {1}': '{0}, sans {1}',
  'no exception, or one that ends': 'aucune exception, ou une qui finit',
  'no TLS with any host, so no policy is obeyed, and mail with REQUIRETLS comes back':
    'aucun TLS avec aucun serveur : aucune règle n’est respectée, et le courrier avec REQUIRETLS revient',
  'TLS where it is offered': 'TLS là où il est proposé',
  'Set `delivery.tls: opportunistic`.': 'Réglez `delivery.tls: opportunistic`.',
  '{0}, without an end': '{0}, sans fin',
  'Give the entry of `destinations` an `until`, or remove it.': 'Donnez un `until` à l’entrée de `destinations`, ou enlevez-la.',
  'over since {0}': 'finie depuis le {0}',
  '{0}, until {1}': '{0}, jusqu’au {1}',
  'Remove it as soon as the destination is mended.': 'Enlevez-la dès que la destination est réparée.',
  'no mail that waits because of a TLS policy': 'aucun courrier n’attend à cause d’une règle TLS',
  'Send its postmaster what this says: smarthost tls check {0} --connect':
    'Envoyez à son postmaster ce que dit : smarthost tls check {0} --connect',
  '{0} recipients wait: {1}': '{0} destinataires attendent : {1}',
  'If other resolvers find its records, this one may cut names too strictly: unbound needs `qname-minimisation-strict: no`.':
    'Si d’autres résolveurs trouvent ses enregistrements, celui-ci coupe peut-être trop les noms : unbound demande `qname-minimisation-strict: no`.',
  'MX records': 'des enregistrements MX',
  'null MX': 'MX nul',
  '{0} says that it takes no mail: bounces get lost, and receivers refuse its mail.':
    '{0} dit ne pas prendre de courrier : les retours se perdent, et des destinataires refusent son courrier.',
  'no MX record, only an address': 'aucun enregistrement MX, seulement une adresse',
  'Publish an MX record of {0}: bounces and replies go there.':
    'Publiez un enregistrement MX de {0} : les retours et les réponses y vont.',
  'Replies to mail of {0} cannot arrive, and some receivers refuse its mail: publish an MX record.':
    'Les réponses au courrier de {0} ne peuvent pas arriver, et certains destinataires le refusent : publiez un enregistrement MX.',
  'aligned with the domain of From': 'aligné avec le domaine de From',
  'SPF alone passes: smarthost domain add {0}': 'Seul SPF passe : smarthost domain add {0}',
  'The resolvers of this machine have other answers for this domain, as those of an internal zone have. What receivers see counts; DKIM keys are activated by what this machine sees.':
    'Les résolveurs de cette machine ont d’autres réponses pour ce domaine, comme ceux d’une zone interne. Ce que voient les destinataires compte ; les clés DKIM s’activent selon ce que voit cette machine.',
  '{0} by the resolvers of this machine, {1} by `alignment.resolvers`':
    '{0} selon les résolveurs de cette machine, {1} selon `alignment.resolvers`',
  'the same': 'la même chose',
  'no SPF record': 'aucun enregistrement SPF',
  'Publish it: for reports with the null sender, receivers check the SPF record of {0}.':
    'Publiez-le : pour les rapports à l’expéditeur vide, les destinataires regardent l’enregistrement SPF de {0}.',
  'Publish it as a TXT record of {0}.': 'Publiez-le comme enregistrement TXT de {0}.',
  '{0} SPF records': '{0} enregistrements SPF',
  'Merge them into one: if there are several, none counts (permerror).':
    'Réunissez-les en un seul : s’il y en a plusieurs, aucun ne compte (permerror).',
  'Our addresses are not known, so it was not evaluated.': 'Nos adresses ne sont pas connues, donc il n’a pas été évalué.',
  'pass for every address': 'pass pour chaque adresse',
  'The record cannot be evaluated{0}: correct it, with at most ten mechanisms that need look-ups.':
    'L’enregistrement ne peut pas être évalué{0} : corrigez-le, avec dix mécanismes au plus qui demandent le DNS.',
  'Allow the addresses of {0} in its own record.': 'Autorisez les adresses de {0} dans son propre enregistrement.',
  'Change the SPF record of {0}, so that it allows this relay.':
    'Changez l’enregistrement SPF de {0}, pour qu’il autorise ce relais.',
  'reports.tls is off: nothing is counted or sent': 'reports.tls est coupé : rien n’est compté ni envoyé',
  'as configured': 'comme réglé',
  'signed reports that arrive': 'des rapports signés qui arrivent',
  'Reports about TLS that their submitter has not signed must be ignored, so none are sent by mail: smarthost domain add {0}':
    'Les rapports sur TLS que leur auteur n’a pas signés sont à ignorer, donc aucun ne part par courrier : smarthost domain add {0}',
  '{0} has no DKIM key that signs': '{0} n’a pas de clé DKIM qui signe',
  'The owner of this address must mend it. After five days it gets no reports for thirty days.':
    'Le propriétaire de cette adresse doit réparer. Après cinq jours, elle ne reçoit plus de rapports pendant trente jours.',
  'not delivered: {0}': 'non remis : {0}',
  'no reason is known': 'aucune raison connue',
  '{0} sent, {1} on their way, in two days': '{0} envoyés, {1} en route, en deux jours',
  '{0} of {1}: {2}': '{0} de {1} : {2}',
  '{0}: the DNS gave no answer, so what it has is not known.': '{0} : le DNS n’a pas répondu, donc on ne sait pas ce qu’il a.',
  'an SPF record that allows us': 'un enregistrement SPF qui nous autorise',
  'an SPF record, to be extended': 'un enregistrement SPF, à compléter',
  'a DMARC record, which stays': 'un enregistrement DMARC, qui reste',
  '{0} has {1}, and {2}.': '{0} a {1}, et {2}.',
  '{0}, and {1}': '{0}, et {1}',
  '{0} {1}, because {2}': '{0} {1}, car {2}',
  '{0}; if {1} were obeyed, it {2}': '{0} ; si {1} étaient respectées, il {2}',
  'gets no mail': 'ne reçoit rien',
  'gets mail in clear text': 'reçoit le courrier en clair',
  'gets mail over TLS if it offers TLS, with any certificate, and else in clear text':
    'reçoit le courrier par TLS s’il le propose, avec n’importe quel certificat, et sinon en clair',
  'gets mail only over TLS, with {0}': 'ne reçoit le courrier que par TLS, avec {0}',
  'would get no mail': 'ne recevrait rien',
  'would get mail in clear text': 'recevrait le courrier en clair',
  'would get mail over TLS if it offers TLS, with any certificate, and else in clear text':
    'recevrait le courrier par TLS s’il le propose, avec n’importe quel certificat, et sinon en clair',
  'would get mail only over TLS, with {0}': 'ne recevrait le courrier que par TLS, avec {0}',
  'a certificate that matches the TLSA records of {0}': 'un certificat qui correspond aux enregistrements TLSA de {0}',
  'a valid certificate for {0}': 'un certificat valable pour {0}',
  'any certificate': 'n’importe quel certificat',
  'this relay is configured to use no TLS for it': 'ce relais est réglé pour ne pas utiliser TLS avec lui',
  'nobody demands more': 'personne n’exige plus',
  'its TLSA records at {0} are signed with DNSSEC, but none of them can be used (RFC 7672)':
    'ses enregistrements TLSA à {0} sont signés par DNSSEC, mais aucun n’est utilisable (RFC 7672)',
  'these records are signed with DNSSEC (RFC 7672)': 'ces enregistrements sont signés par DNSSEC (RFC 7672)',
  'DANE protects the host alone, as the MX records of {0} are not signed':
    'DANE ne protège que le serveur, car les enregistrements MX de {0} ne sont pas signés',
  'where DANE decides, the MTA-STS policy of {0} is not applied': 'là où DANE décide, la règle MTA-STS de {0} ne s’applique pas',
  'the MTA-STS policy of {0} names this host and is enforced (RFC 8461)':
    'la règle MTA-STS de {0} nomme ce serveur et s’impose (RFC 8461)',
  'the message asks for it (REQUIRETLS)': 'le message le demande (REQUIRETLS)',
  'this relay is configured to demand {0}': 'ce relais est réglé pour exiger {0}',
  'no TLS': 'l’absence de TLS',
  'a valid certificate': 'un certificat valable',
  'a route of this relay names the host': 'une route de ce relais nomme le serveur',
  'the message asks that no policies count': 'le message demande qu’aucune règle ne compte',
  'DANE is off here': 'DANE est coupé ici',
  'DANE is only evaluated here': 'DANE est seulement évalué ici',
  'its addresses are not signed with DNSSEC': 'ses adresses ne sont pas signées par DNSSEC',
  'it has no TLSA records': 'il n’a pas d’enregistrement TLSA',
  'the resolver of this relay does not validate DNSSEC': 'le résolveur de ce relais ne valide pas DNSSEC',
  'MTA-STS is off here': 'MTA-STS est coupé ici',
  'no MTA-STS policy of {0} is known': 'aucune règle MTA-STS de {0} n’est connue',
  'MTA-STS is only evaluated here': 'MTA-STS est seulement évalué ici',
  'the MTA-STS policy of {0} has the mode {1}': 'la règle MTA-STS de {0} est en mode {1}',
  'its name': 'son nom',
  unknown: 'inconnu',
  'its TLSA records could not be looked up at {0} ({1})': 'ses enregistrements TLSA n’ont pas pu être demandés à {0} ({1})',
  'without them nobody knows what DANE demands (RFC 7672)': 'sans eux, personne ne sait ce que DANE exige (RFC 7672)',
  'the MTA-STS policy of {0} is enforced and does not name this host (RFC 8461)':
    'la règle MTA-STS de {0} s’impose et ne nomme pas ce serveur (RFC 8461)',
  'this relay is configured to demand DANE': 'ce relais est réglé pour exiger DANE',
  'the message asks for verified TLS (REQUIRETLS)': 'le message demande un TLS vérifié (REQUIRETLS)',
  'nothing proves that this is a host of {0}': 'rien ne prouve que c’est un serveur de {0}',
  'none of its TLSA records at {0} can be used': 'aucun de ses enregistrements TLSA à {0} n’est utilisable',
  'the MX records of {0} are not signed with DNSSEC': 'les enregistrements MX de {0} ne sont pas signés par DNSSEC',
  'its TLSA records are not known': 'ses enregistrements TLSA ne sont pas connus',
  'the policy that is only tested': 'les règles seulement à l’essai',
  'the policies that are only evaluated': 'les règles seulement évaluées',
  '{0} or {1}': '{0} ou {1}',
  'none is connected': 'aucun n’est connecté',
  'on the disk before the 250': 'sur le disque avant le 250',
  'on the disks of two machines before the 250': 'sur les disques de deux machines avant le 250',
  'one machine': 'une machine',
  'one machine is enough, {0} would be there': 'une machine suffit, {0} serait là',
  '{0} (mail of the last day, envelope {1}, looked up {2})': '{0} (courrier du dernier jour, enveloppe {1}, examiné {2})',
  '{0} ({1}, {2}, {3} behind)': '{0} ({1}, {2}, {3} de retard)',
  '{0} has other {1} than {2}': '{0} a d’autres {1} que {2}',
  '{0} s ahead': '{0} s d’avance',
  '{0} s behind': '{0} s de retard',
};
