/** The French texts of the frame, of the login, and of what all pages are made of. */
import type { SameTexts } from '../texts.ts';
import type { EN_COMMON } from './en-common.ts';

export const FR_COMMON: SameTexts<typeof EN_COMMON> = {
  'page.overview': 'Vue d’ensemble',
  'page.login': 'Connexion',
  'page.account': 'Mon compte',
  'page.none': 'Cette page n’existe pas',
  'page.noneAbout': 'L’adresse est fausse, ou la page appartient à une autre version.',
  'page.notAllowed': 'Cette page demande le rôle « {role} » ou un rôle supérieur. Un administrateur peut changer votre rôle.',

  'role.reader': 'lecteur',
  'role.operator': 'opérateur',
  'role.admin': 'administrateur',

  'frame.skip': 'Aller au contenu',
  'frame.pages': 'Pages',
  'frame.search': 'Chercher un message par son identifiant, son Message-ID ou une adresse',
  'frame.searchHint': 'identifiant, Message-ID ou adresse',

  loading: 'Chargement …',
  'failure.unreachable':
    'Le relais ne répond pas. Ce qui est affiché peut être ancien. Le courrier n’a pas besoin de cette page.',
  'failure.status': 'Le relais a répondu avec le statut {status}.',
  'failure.again': 'Réessayer',

  'login.name': 'Compte',
  'login.password': 'Mot de passe',
  'login.code': 'Code du second facteur',
  'login.codeHint': 'Six chiffres de votre application, ou un de vos codes de secours.',
  'login.button': 'Se connecter',
  'login.out': 'Se déconnecter',
  'login.lost': 'Mot de passe ou second facteur perdu ? Sur la machine du relais :',
  'login.ended': 'Votre session est terminée',
  'login.endedAbout': 'Reconnectez-vous. Rien de ce que vous avez saisi n’est perdu, et votre dernière action continue.',
  'login.needed': 'Personne n’est connecté.',
  'login.confirm': 'Votre mot de passe, s’il vous plaît',
  'login.confirmAbout': 'Ceci est irréversible ou montre un secret : confirmez que c’est bien vous.',
  'login.confirmButton': 'Continuer',
  'login.confirmNeeded': 'Ceci demande votre mot de passe.',

  'form.cancel': 'Annuler',
  'form.optional': '(facultatif)',
  'dialog.close': 'Fermer',
  'danger.type': 'Saisissez {text} :',
  'danger.wrong': 'Ce n’est pas {text}.',

  'toast.label': 'Ce qui vient de se passer',
  'toast.close': 'Fermer ce message',
  'copy.button': 'Copier',
  'copy.done': 'Copié',
  'command.title': 'La même chose par commande',

  'time.now': 'maintenant',
  'time.due': 'maintenant',
  'time.ago': 'il y a {time}',
  'time.in': 'dans {time}',
  'stranger.odd': 'Un signe invisible, ou qui change l’affichage du texte. Il est montré par son numéro.',

  'state.queued': 'en attente',
  'state.delayed': 'retardé',
  'state.held': 'retenu',
  'state.relayed': 'transmis',
  'state.failed': 'échoué',
  'state.expired': 'expiré',
  'state.uncertain': 'incertain',
  'state.removed': 'retiré',

  'table.choose': 'Choisir {row}',
  'table.chooseAll': 'Choisir toutes les lignes affichées',
  'pager.shown': { one: '{count} ligne', other: '{count} lignes' },
  'pager.more': 'Afficher plus',
  'pager.further': 'Chercher plus loin',
  'filter.clear': 'Effacer',
  'chart.table': 'Tableau',
  'chart.top': 'maximum {count}',

  'keys.title': 'Clavier',
  'keys.search': 'chercher',
  'keys.rows': 'ligne suivante, ligne précédente',
  'keys.open': 'ouvrir la ligne',
  'keys.choose': 'choisir la ligne',
  'keys.help': 'cette aide',
  'keys.on': 'Les touches d’une seule lettre sont actives',
};
