/** The French texts of the first run. */
import type { SameTexts } from '../texts.ts';
import type { EN_FIRST_RUN } from './en-first-run.ts';

export const FR_FIRST_RUN: SameTexts<typeof EN_FIRST_RUN> = {
  'firstRun.steps': 'Étapes de la première mise en service',
  'firstRun.account': 'Compte',
  'firstRun.machine': 'Cette machine',
  'firstRun.domains': 'Domaines',
  'firstRun.certificate': 'Certificat',
  'firstRun.wayOut': 'Sortie',
  'firstRun.client': 'Qui envoie',
  'firstRun.mail': 'Premier message',
  'firstRun.next': 'Continuer',
  'firstRun.back': 'Retour',
  'firstRun.look': 'Vérifier',
  'firstRun.lookAgain': 'Vérifier de nouveau',
  'firstRun.later':
    'Vous pouvez continuer et corriger cela plus tard. La page « Diagnostic » le montre tant que ce n’est pas juste.',

  'firstRun.accountAbout':
    'Vous êtes {name}. Un second facteur protège le compte si son mot de passe tombe en de mauvaises mains.',

  'firstRun.machineAbout':
    'Le relais montre ce nom à tous les autres. Ses enregistrements DNS doivent correspondre à ses adresses.',
  'firstRun.hostname': 'Nom d’hôte complet de cette machine',
  'firstRun.hostnameHint': 'Tel que le DNS public le connaît.',
  'firstRun.addresses': 'Adresses publiques',
  'firstRun.addressesHint': 'Nécessaires derrière un NAT. Vide : celles que le DNS donne pour ce nom.',

  'firstRun.domainsAbout':
    'Les domaines dont le courrier sera envoyé. Chacun reçoit des clés, pour que les destinataires puissent vérifier l’expéditeur.',
  'firstRun.domainsField': 'Domaines qui envoient',
  'firstRun.domainsHint': 'Séparés par des espaces.',
  'firstRun.domainsButton': 'Créer les clés',
  'firstRun.records': 'Enregistrements à publier dans le DNS',
  'firstRun.recordsRight': {
    one: '{right} enregistrement sur {count} est juste.',
    other: '{right} enregistrements sur {count} sont justes.',
  },
  'firstRun.copyZone': 'Tout copier comme fichier de zone',
  'firstRun.recordState': 'État',
  'firstRun.recordType': 'Type',
  'firstRun.recordName': 'Nom',
  'firstRun.recordValue': 'Valeur',
  'firstRun.recordFound': 'Le DNS contient :',
  'firstRun.record.ok': 'juste',
  'firstRun.record.missing': 'absent',
  'firstRun.record.other': 'différent',
  'firstRun.record.unknown': 'pas de réponse',

  'firstRun.certificateAbout':
    'Les clients ont besoin d’un certificat de confiance. Let’s Encrypt en signe un gratuitement et le relais le renouvelle. Tant que vous n’acceptez pas les conditions, le relais utilise un certificat qu’il a signé lui-même.',
  'firstRun.terms': 'Les conditions de Let’s Encrypt',
  'firstRun.email': 'Votre adresse de courriel',
  'firstRun.emailHint': 'Avertie quand une intervention est nécessaire ; donnée aussi à l’autorité de certification.',
  'firstRun.challenge': 'Comment l’autorité vérifie le nom',
  'firstRun.challengeHint': 'L’un de ces ports doit être joignable depuis Internet.',
  'firstRun.http': 'par HTTP, port 80',
  'firstRun.alpn': 'par TLS, port 443',
  'firstRun.accept': 'J’accepte les conditions de Let’s Encrypt',
  'firstRun.acceptHint': 'Sans cela, la plupart des clients refusent le certificat.',

  'firstRun.wayOutAbout':
    'Les serveurs de courrier reçoivent sur le port 25, que beaucoup d’hébergeurs bloquent. Ces grands destinataires viennent d’être interrogés :',
  'firstRun.way': 'Comment le courrier sort',
  'firstRun.direct': 'directement vers ses destinataires',
  'firstRun.provider': 'tout le courrier par un fournisseur, avec un identifiant',
  'firstRun.providerAbout':
    'N’importe quel serveur qui accepte votre courrier avec un identifiant : celui de votre hébergeur ou d’un service d’envoi.',
  'firstRun.providerHost': 'Serveur et port',
  'firstRun.providerUser': 'Nom d’utilisateur',
  'firstRun.providerPassword': 'Mot de passe',
  'firstRun.providerHint': 'Il est écrit dans',
  'firstRun.try': 'Essayer de se connecter',
  'firstRun.writes': 'La configuration va être écrite :',
  'firstRun.finish': 'L’écrire et démarrer le relais',

  'firstRun.starting': 'La configuration est écrite. Le relais démarre et cette page continue toute seule …',
  'firstRun.lateService': 'Le relais ne répond pas encore. Sur sa machine, ceci dit pourquoi : journalctl -u smarthost',
  'firstRun.lateHere': 'Le relais ne répond pas encore. Le terminal où vous avez commencé dit pourquoi.',
  'firstRun.newCertificate': 'Le relais a un autre certificat que cette page. Votre navigateur pose de nouveau la question :',
  'firstRun.openAgain': 'Ouvrir de nouveau la console',

  'firstRun.whatSends': 'Qu’est-ce qui envoie par ce relais ?',
  'firstRun.kind.exchange': 'Exchange Server',
  'firstRun.kind.mailServer': 'un autre serveur de courrier (Postfix, mailcow …)',
  'firstRun.kind.application': 'une application',
  'firstRun.kind.device': 'une imprimante, un scanner ou un autre appareil',
  'firstRun.about.exchange':
    'Il peut envoyer au nom des domaines ci-dessous, aussi des rapports sans expéditeur, et n’a pas de limites.',
  'firstRun.about.mailServer':
    'Il peut envoyer au nom des domaines ci-dessous, aussi des rapports sans expéditeur, et n’a pas de limites.',
  'firstRun.about.application': 'Elle peut envoyer au nom des domaines ci-dessous, dans les limites habituelles.',
  'firstRun.about.device': 'Il peut envoyer 100 messages par jour. Un expéditeur fixe pourra être remplacé plus tard.',
  'firstRun.loginName': 'Nom d’utilisateur',
  'firstRun.loginNameHint': 'Un mot ou une adresse de courriel.',
  'firstRun.senders': 'Peut envoyer comme',
  'firstRun.sendersHint': 'Des adresses, ou @domaine pour tout un domaine.',
  'firstRun.makeLogin': 'Créer l’identifiant',
  'firstRun.skipClient': 'Envoyer plutôt un message d’essai',
  'firstRun.testInstead': 'Envoyer plutôt un message d’essai',
  'firstRun.another': 'Un autre identifiant',
  'firstRun.settings': 'Réglages à saisir',
  'firstRun.recipes': 'Lignes à copier pour les programmes courants',

  'firstRun.mailAbout': 'Le relais envoie un message à une adresse que vous pouvez lire, et vous voyez ce qu’il devient.',
  'firstRun.mailTo': 'À',
  'firstRun.mailHint': 'Une adresse chez un autre fournisseur en dit le plus.',
  'firstRun.mailSend': 'L’envoyer',
  'firstRun.nextAttempt': 'prochain essai dans',
  'firstRun.noTls': 'sans TLS',
  'firstRun.arrived': 'Votre premier message est arrivé.',
  'firstRun.arrivedAbout': 'Le relais est prêt. Tout ce qui se passe désormais est dans la vue d’ensemble.',
  'firstRun.toOverview': 'Vers la vue d’ensemble',
};
