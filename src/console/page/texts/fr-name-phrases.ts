/** What the relay says of names in the DNS, of keys and of its database in whole sentences, in French. */

/** As `FR_PHRASES`, of which they are a part. */
export const FR_NAME_PHRASES: Readonly<Record<string, string>> = {
  'not listed': 'absente de la liste',
  'query refused': 'question refusée',
  '{0} does not answer this resolver (lists refuse public and busy resolvers): ask through a resolver of your own, or on its web page.':
    '{0} ne répond pas à ce résolveur (les listes refusent les résolveurs publics ou trop actifs) : interrogez-la par un résolveur à vous, ou sur sa page web.',
  'The list could not be asked now.': 'La liste n’a pas pu être interrogée.',
  'listed ({0})': 'dans la liste ({0})',
  'listed ({0}): {1}': 'dans la liste ({0}) : {1}',
  'Find the cause and ask {0} to remove {1}: receivers refuse mail from it.':
    'Trouvez la cause et demandez à {0} d’enlever {1} : des destinataires refusent son courrier.',
  '{0}, which no block list answers': '{0}, ce qu’aucune liste de blocage ne répond',
  'This resolver invents answers: use another one (`dns.servers`).':
    'Ce résolveur invente des réponses : utilisez-en un autre (`dns.servers`).',
  'no answer, not even for the test entry {0}': 'pas de réponse, même pour l’entrée d’essai {0}',
  '{0} does not serve this resolver, or serves no more.': '{0} ne sert pas ce résolveur, ou ne sert plus.',
  '{0}, PostgreSQL {1}': '{0}, PostgreSQL {1}',
  answers: 'répond',
  'Start it, or take it out of `store.postgres`.': 'Démarrez-le, ou enlevez-le de `store.postgres`.',
  'no server that answers is one': 'aucun serveur qui répond ne l’est',
  'exactly one': 'exactement un',
  'Promote a standby: until then no mail is accepted.':
    'Promouvez un serveur de secours : d’ici là, aucun courrier n’est accepté.',
  'Stop the one that was the primary before, and make it a standby again: what was written there alone is not in the cluster.':
    'Arrêtez celui qui était le primaire, et refaites-en un secours : ce qui n’a été écrit que là n’est pas dans le groupe.',
  '{0} different clusters': '{0} groupes différents',
  'the servers of one cluster': 'les serveurs d’un seul groupe',
  'Name only servers that follow one primary in `store.postgres`: relays that find different ones would not share their queue.':
    'Ne nommez dans `store.postgres` que des serveurs qui suivent un même primaire : des relais qui en trouvent d’autres ne partageraient pas leur file.',
  'none yet': 'pas encore',
  'format {0}': 'format {0}',
  'A newer relay made them: install its version here.': 'Un relais plus récent les a faites : installez ici sa version.',
  'The next start of a relay of this version brings them up to date.':
    'Le prochain démarrage d’un relais de cette version les met à jour.',
  'fsync is off': 'fsync est coupé',
  'Set fsync = on: a power cut would lose mail.': 'Réglez fsync = on : une coupure de courant ferait perdre du courrier.',
  'full_page_writes is off': 'full_page_writes est coupé',
  'Set full_page_writes = on: a power cut could damage the tables.':
    'Réglez full_page_writes = on : une coupure de courant pourrait abîmer les tables.',
  'synchronous_commit is {0}': 'synchronous_commit vaut {0}',
  'Set synchronous_commit = on: until then mail is refused.':
    'Réglez synchronous_commit = on : d’ici là, le courrier est refusé.',
  'two machines': 'deux machines',
  'With three servers, remove `durability: one`: mail that was accepted is lost with the disk of the database.':
    'Avec trois serveurs, enlevez `durability: one` : le courrier accepté est perdu avec le disque de la base.',
  'no synchronous standby is named': 'aucun serveur de secours synchrone n’est nommé',
  "Set synchronous_standby_names, such as 'ANY 1 (db2, db3)': until then mail is refused with 451.":
    "Réglez synchronous_standby_names, par exemple 'ANY 1 (db2, db3)' : d’ici là, le courrier est refusé avec 451.",
  'synchronous_standby_names = {0}': 'synchronous_standby_names = {0}',
  'two that follow': 'deux qui suivent',
  'this user may not see them': 'cet utilisateur n’a pas le droit de les voir',
  'GRANT pg_monitor TO the user of the relay, or look yourself.':
    'GRANT pg_monitor TO l’utilisateur du relais, ou regardez vous-même.',
  'Start a standby: until then each commit waits for it, and mail gets 451.':
    'Démarrez un serveur de secours : d’ici là, chaque écriture l’attend, et le courrier reçoit 451.',
  'With one alone, a restart of it stops all mail: add a second one.':
    'Avec un seul, son redémarrage arrête tout le courrier : ajoutez-en un second.',
  'straight to the server': 'directement au serveur',
  'a connection pooler is in between': 'un répartiteur de connexions est entre les deux',
  'Name the servers themselves in `store.postgres`: locks, settings and prepared statements of a session are lost behind pgbouncer.':
    'Nommez les serveurs eux-mêmes dans `store.postgres` : verrous, réglages et requêtes préparées d’une session se perdent derrière pgbouncer.',
  'at least {0}, or a slot for each standby': 'au moins {0}, ou un slot par serveur de secours',
  '{0} replication slots': '{0} slots de réplication',
  '1 replication slot': '1 slot de réplication',
  '{0}, and no slot': '{0}, et aucun slot',
  'Set wal_keep_size = 4GB or make slots: a standby that was away for minutes could not follow any more, and all mail would wait.':
    'Réglez wal_keep_size = 4GB ou créez des slots : un serveur de secours absent quelques minutes ne pourrait plus suivre, et tout le courrier attendrait.',
  'younger than 5 minutes': 'de moins de 5 minutes',
  'open for {0} min': 'ouverte depuis {0} min',
  'End it (pg_stat_activity shows it): dead rows stay as long as it is open, and the queue gets slower.':
    'Terminez-la (pg_stat_activity la montre) : les lignes mortes restent tant qu’elle est ouverte, et la file devient plus lente.',
  '{0} free': '{0} libres',
  '{0} of {1}, {2} free for this user': '{0} sur {1}, {2} libres pour cet utilisateur',
  'Raise max_connections, or the limit of the user or of the database: each relay needs five, and a command some more.':
    'Augmentez max_connections, ou la limite de l’utilisateur ou de la base : chaque relais en veut cinq, et une commande quelques-unes de plus.',
  'It runs: mend what it refuses.': 'Il est en marche : réglez ce qu’il refuse.',
  'its certificate ends in {0} days': 'son certificat se termine dans {0} jours',
  'at least {0} days': 'au moins {0} jours',
  'Renew it: once it has ended, relays stay connected until the next failover, and then find no database.':
    'Renouvelez-le : une fois terminé, les relais restent connectés jusqu’à la prochaine bascule, et ne trouvent plus de base ensuite.',
  'Look at the servers without an answer first: one of them may be the primary. Promote a standby only when that one is stopped for certain.':
    'Regardez d’abord les serveurs sans réponse : l’un d’eux est peut-être le primaire. Ne promouvez un serveur de secours que lorsque celui-là est arrêté à coup sûr.',
  'the database has the encoding {0}': 'la base a l’encodage {0}',
  UTF8: 'UTF8',
  "Make the database anew with ENCODING 'UTF8' TEMPLATE template0: another one cannot keep all mail.":
    "Refaites la base avec ENCODING 'UTF8' TEMPLATE template0 : un autre ne peut pas garder tout le courrier.",
  'this user may only read': 'cet utilisateur peut seulement lire',
  'reads and writes': 'lit et écrit',
  'Set default_transaction_read_only = off for the user, the database and the server.':
    'Réglez default_transaction_read_only = off pour l’utilisateur, la base et le serveur.',
  'this user may not read and write {0}': 'cet utilisateur ne peut pas lire et écrire {0}',
  'As their owner: GRANT ALL ON ALL TABLES IN SCHEMA smarthost TO the user of the relay.':
    'En tant que propriétaire : GRANT ALL ON ALL TABLES IN SCHEMA smarthost TO l’utilisateur du relais.',
  'track_activities is off': 'track_activities est coupé',
  'Set track_activities = on: an old transaction slows the queue.':
    'Réglez track_activities = on : une vieille transaction ralentit la file.',
  'this user may not see {0} sessions of others': 'cet utilisateur n’a pas le droit de voir {0} sessions des autres',
  'within 2 s of this machine': 'à moins de 2 s de cette machine',
  'Set both clocks by NTP: mail gets the times of the database, and the log those of this machine.':
    'Réglez les deux horloges par NTP : le courrier porte les heures de la base, et le journal celles de cette machine.',
  'equal on all relays': 'égaux sur tous les relais',
  'those of {0} relays': 'ceux de {0} relais',
  'Make these sections equal and reload: waiting mail follows new routes only when all relays have them.':
    'Rendez ces sections égales et rechargez : le courrier en attente ne suit de nouvelles routes que si tous les relais les ont.',
  'no key': 'aucune clé',
  'a key': 'une clé',
  'Mail of {0} leaves unsigned: smarthost domain add {1}': 'Le courrier de {0} part sans signature : smarthost domain add {1}',
  'no key of its own, so the key of {0} signs': 'aucune clé à lui : celle de {0} signe',
  'a key that verifies': 'une clé qui se vérifie',
  '{0}, which does not verify': '{0}, qui ne se vérifie pas',
  'Publish the record of the key: smarthost domain show {0}': 'Publiez l’enregistrement de la clé : smarthost domain show {0}',
  'the record of our key': 'l’enregistrement de notre clé',
  'Queued mail still has its signature: keep the record until the key is removed.':
    'Du courrier en file porte encore sa signature : gardez l’enregistrement jusqu’à ce que la clé soit enlevée.',
  'Publish this record': 'Publiez cet enregistrement',
  'Replace what is published by this record': 'Remplacez ce qui est publié par cet enregistrement',
  '{0}: then the key begins to sign.': '{0} : alors la clé commence à signer.',
  '{0}; another key of {1} verifies.': '{0} ; une autre clé de {1} se vérifie.',
  '{0}: until then receivers cannot verify our signatures.':
    '{0} : d’ici là, les destinataires ne peuvent pas vérifier nos signatures.',
  published: 'publié',
  'no record': 'aucun enregistrement',
  'a record with another key': 'un enregistrement d’une autre clé',
  'the DNS gave no answer': 'le DNS n’a pas répondu',
  'A tag occurs twice, so the record at _dmarc.{0} does not count: keep one.':
    'Une balise est là deux fois, donc l’enregistrement à _dmarc.{0} ne compte pas : n’en gardez qu’une.',
  '{0} DMARC records': '{0} enregistrements DMARC',
  'one record': 'un seul enregistrement',
  'Keep only one at _dmarc.{0}: if there are several, none counts.':
    'N’en gardez qu’un à _dmarc.{0} : s’il y en a plusieurs, aucun ne compte.',
  'no DMARC record': 'aucun enregistrement DMARC',
  'Publish it: large receivers want one, and p=none changes nothing else.':
    'Publiez-le : les grands destinataires en veulent un, et p=none ne change rien d’autre.',
  'one record with a policy': 'un seul enregistrement avec une règle',
  '{0} must be none, quarantine or reject.': '{0} doit valoir none, quarantine ou reject.',
  'The record has no valid policy: {0}': 'L’enregistrement n’a pas de règle valable : {0}',
  'The record counts as p=none: {0}': 'L’enregistrement vaut p=none : {0}',
  '{0} ({1} for {2})': '{0} ({1} pour {2})',
  '{0} (of {1}, {2} for {3})': '{0} (de {1}, {2} pour {3})',
  '{0} (of {1})': '{0} (de {1})',
  'passes for {0}, which is not aligned': 'passe pour {0}, qui n’est pas aligné',
  'SPF {0}, DKIM {1}, for From: …@{2}': 'SPF {0}, DKIM {1}, pour From: …@{2}',
  'passes for some of our addresses': 'passe pour certaines de nos adresses',
  'both pass with the domain of From': 'les deux passent avec le domaine de From',
  'correct DKIM': 'corrigez DKIM',
  'give {0} a key of its own (smarthost domain add {1})': 'donnez à {0} une clé à lui (smarthost domain add {1})',
  'correct SPF': 'corrigez SPF',
  'correct SPF for all addresses, and {0}': 'corrigez SPF pour toutes les adresses, et {0}',
  'DMARC fails for {0}: {1}. Correct SPF, and {2}.': 'DMARC échoue pour {0} : {1}. Corrigez SPF, et {2}.',
  passes: 'passe',
  'does not pass': 'ne passe pas',
  'is not known': 'n’est pas connu',
  'DMARC passes by {0} alone: {1} too, because large receivers want both.':
    'DMARC ne passe que par {0} : {1} aussi, car les grands destinataires veulent les deux.',
  'by its policy, receivers refuse this mail': 'par sa règle, les destinataires refusent ce courrier',
  'by its policy, receivers treat this mail as spam': 'par sa règle, les destinataires traitent ce courrier comme indésirable',
  'receivers may think that this mail is forged': 'les destinataires peuvent croire ce courrier falsifié',
  'Something between this machine and the Internet spoils DNSSEC: use a resolver that asks the name servers itself, such as unbound.':
    'Quelque chose entre cette machine et Internet gâte DNSSEC : utilisez un résolveur qui interroge lui-même les serveurs de noms, comme unbound.',
  'a validated answer that there are none (AD)': 'une réponse validée disant qu’il n’y en a pas (AD)',
  'Mail to hosts without TLSA records would wait. {0}': 'Le courrier pour des serveurs sans enregistrement TLSA attendrait. {0}',
  'the answer is not validated': 'la réponse n’est pas validée',
  'an answer without AD, as the name is not signed': 'une réponse sans AD, car le nom n’est pas signé',
  'It fails for names that are not signed. {0}': 'Il échoue pour des noms qui ne sont pas signés. {0}',
  'the answer claims to be validated': 'la réponse se dit validée',
  'This resolver says AD to everything: use one that validates, such as unbound.':
    'Ce résolveur dit AD à tout : utilisez-en un qui valide, comme unbound.',
  'SERVFAIL, as the signatures of the name are wrong': 'SERVFAIL, car les signatures du nom sont fausses',
  'an answer': 'une réponse',
  'This resolver passes on what is forged: use one that validates, such as unbound.':
    'Ce résolveur transmet ce qui est falsifié : utilisez-en un qui valide, comme unbound.',
  'an answer of more than {0} octets, over TCP': 'une réponse de plus de {0} octets, par TCP',
  'Long answers come over TCP: let the resolver be asked, and ask, on TCP port 53.':
    'Les longues réponses viennent par TCP : laissez interroger le résolveur, et laissez-le interroger, sur le port TCP 53.',
  'an answer of {0} octets': 'une réponse de {0} octets',
  'The name has changed, so this shows nothing.': 'Le nom a changé, donc cela ne montre rien.',
  'Run doctor again: this name could not be asked for.': 'Relancez le diagnostic : ce nom n’a pas pu être demandé.',
  'a resolver that answers': 'un résolveur qui répond',
  'answers that are validated (AD)': 'des réponses validées (AD)',
  'Without a resolver no mail is delivered: check `dns.servers`, /etc/resolv.conf, and whether UDP port 53 can be reached.':
    'Sans résolveur, aucun courrier ne part : vérifiez `dns.servers`, /etc/resolv.conf, et que le port UDP 53 est joignable.',
  'no answer': 'pas de réponse',
  '{0} for a name that exists': '{0} pour un nom qui existe',
  'It answers, but perhaps not for all names of the Internet: is it a resolver, and can it reach the root servers?':
    'Il répond, mais peut-être pas pour tous les noms d’Internet : est-ce un résolveur, et joint-il les serveurs racines ?',
  'a resolver on this machine that validates (AD)': 'un résolveur sur cette machine qui valide (AD)',
  'Install a validating resolver on this machine, such as unbound, and set `dns.servers: [127.0.0.1]`.':
    'Installez sur cette machine un résolveur qui valide, comme unbound, et réglez `dns.servers: [127.0.0.1]`.',
  'answers are not validated': 'les réponses ne sont pas validées',
  'DANE needs validation, and so does mail with REQUIRETLS to domains without MTA-STS: it waits. Forged answers are not noticed. {0}':
    'DANE demande la validation, et aussi le courrier avec REQUIRETLS pour les domaines sans MTA-STS : il attend. Les réponses falsifiées ne se voient pas. {0}',
  'answers are validated, but they can be forged on the way from the resolver':
    'les réponses sont validées, mais peuvent être falsifiées en chemin depuis le résolveur',
  '{0} If the path to the resolver is safe, set `dns.trustAd: true`.':
    '{0} Si le chemin vers le résolveur est sûr, réglez `dns.trustAd: true`.',
  'answers are validated': 'les réponses sont validées',
  'Start the relay, then run doctor again: smarthost serve': 'Démarrez le relais, puis relancez le diagnostic : smarthost serve',
  'the relay does not run': 'le relais ne tourne pas',
  '{0} and {1}': '{0} et {1}',
  'the name does not exist': 'le nom n’existe pas',
  'the DNS gave no answer ({0})': 'le DNS n’a pas répondu ({0})',
  'no such record': 'aucun enregistrement de ce type',
  'Run doctor again when the resolver answers; `dns.servers` names another one.':
    'Relancez le diagnostic quand le résolveur répond ; `dns.servers` en nomme un autre.',
  none: 'aucun',
  'your IPv{0} address': 'votre adresse IPv{0}',
  'none, and none is needed': 'aucun, et il n’en faut pas',
  'Publish {0} records of {1} for the addresses that its mail is sent from.':
    'Publiez des enregistrements {0} de {1} pour les adresses d’où part son courrier.',
  '{0} is not reachable from the Internet: publish the public address.':
    '{0} n’est pas joignable depuis Internet : publiez l’adresse publique.',
  'Mail is sent from {0} too: add it to the {1} records, or set `delivery.source`.':
    'Du courrier part aussi de {0} : ajoutez-la aux enregistrements {1}, ou réglez `delivery.source`.',
  'This machine has no public address of its own (NAT): compare this with the address that your provider shows.':
    'Cette machine n’a pas d’adresse publique à elle (NAT) : comparez avec l’adresse que montre votre hébergeur.',
  ' IPv6 is not used until then.': ' IPv6 n’est pas utilisé d’ici là.',
  'Ask the provider of {0} to set its PTR record to {1}.{2}':
    'Demandez à l’hébergeur de {0} de mettre {1} dans son enregistrement PTR.{2}',
  '{0}, which does not have this address': '{0}, qui n’a pas cette adresse',
  '{0}., which has the address {1}': '{0}., qui a l’adresse {1}',
  'Add {0} to the {1} records of {2}.{3}': 'Ajoutez {0} aux enregistrements {1} de {2}.{3}',
  'EHLO {0}, the name of each address': 'EHLO {0}, le nom de chaque adresse',
  'EHLO {0} from no known address': 'EHLO {0}, d’aucune adresse connue',
  'EHLO {0} from {1}': 'EHLO {0} depuis {1}',
  'a name in the public DNS': 'un nom du DNS public',
  'Set `hostname` to a name in the public DNS.': 'Réglez `hostname` sur un nom du DNS public.',
  'Receivers compare this name with A/AAAA and PTR: correct those first.':
    'Les destinataires comparent ce nom avec A/AAAA et PTR : corrigez d’abord ceux-là.',
  'It does not match {0}, so that address is not used.': 'Il ne correspond pas à {0}, donc cette adresse n’est pas utilisée.',
};
